// PackedWeights: the weights of a linear or conv2d instruction in the form that its kernel takes. That is the bits or
// floats of the file (runtime/model_blobs.h) or, where few-bit weights take part in a product of floats, their codes as
// floats, expanded once.

#ifndef BITGRAD_RUNTIME_PACKED_WEIGHTS_H_
#define BITGRAD_RUNTIME_PACKED_WEIGHTS_H_

#include <cstdint>

#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

class PackedWeights {
 public:
  // REQUIRES: the model and the frame outlive this.
  PackedWeights(const PackedModel& model, int blob, bool as_floats, Frame& frame);

  // REQUIRES: as_floats was false.
  const ConstPlanesView& planes() const { return planes_; }
  // REQUIRES: as_floats was true.
  const ConstMatrixView<float>& floats() const { return floats_; }

 private:
  ConstPlanesView planes_;
  Tensor expanded_;
  ConstMatrixView<float> floats_;
};

// The `count` flags of a FLAGS blob as bytes of 0 and 1, in memory of the context's device.
Tensor Flags(const PackedModel& model, int blob, int64_t count, ExecContext& context);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PACKED_WEIGHTS_H_
