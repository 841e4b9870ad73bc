// SequentialModel: a model that is a sequence of layers. Networks derive from it and add their layers in the
// constructor.
//
// What its quantizers learn of bits is part of its report: for each layer weight_bits and activation_bits, and for the
// whole model average_weight_bits and average_activation_bits, the plain means over the layers that learn them. A model
// that learns no bit lengths reports nothing.

#ifndef BITGRAD_MODELS_SEQUENTIAL_MODEL_H_
#define BITGRAD_MODELS_SEQUENTIAL_MODEL_H_

#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/models/layers/sequential.h"
#include "bitgrad/models/model.h"

namespace bitgrad {

class SequentialModel : public Model {
 public:
  Var Forward(const Var& x) override { return layers_(x); }
  absl::Status Harden(ExecContext& context) override;
  std::vector<ModelValue> Report(ExecContext& context) override;

 protected:
  Sequential layers_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_SEQUENTIAL_MODEL_H_
