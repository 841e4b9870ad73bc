// Dropout: in training each element is kept with probability `keep`, or set to 0; ops/dropout.h says where what is kept
// is scaled.

#ifndef BITGRAD_MODELS_LAYERS_DROPOUT_H_
#define BITGRAD_MODELS_LAYERS_DROPOUT_H_

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/ops/dropout.h"

namespace bitgrad {

class Dropout final : public Layer {
 public:
  // Where `keep` is not in (0, 1], the tape that the layer is applied on reports the error.
  explicit Dropout(float keep, DropoutScaling scaling = DropoutScaling::kInTraining) : keep_(keep), scaling_(scaling) {}
  Var operator()(const Var& x) override { return ApplyDropout(x, keep_, scaling_); }

 private:
  float keep_;
  DropoutScaling scaling_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_DROPOUT_H_
