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

// The integer thresholds that an instruction compares its exact sums with, in memory that kernels can read. Empty where
// the instruction has none.
class PackedThreshold {
 public:
  // REQUIRES: the frame outlives this.
  PackedThreshold(const PackedModel& model, bool present, const packed::Threshold& threshold, int64_t count,
                  Frame& frame);

  bool present() const { return thresholds_ != nullptr; }
  DotOutput Output(BitMatrixView bits) const {
    return {.bits = bits, .threshold = thresholds_, .flip = flips_.data<uint8_t>()};
  }

 private:
  const int32_t* thresholds_ = nullptr;
  Tensor flips_;
};

// The `count` flags of a FLAGS blob as bytes of 0 and 1, in memory of the context's device.
Tensor Flags(const PackedModel& model, int blob, int64_t count, ExecContext& context);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PACKED_WEIGHTS_H_
