// PackedWeights: the weights of a linear or a convolution in the form that its kernels take: the file's own bits or
// floats (runtime/model_blobs.h), or, for a product of floats, the codes expanded once.

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

  const ConstPlanesView& planes() const { return planes_; }         // unless as_floats
  const ConstMatrixView<float>& floats() const { return floats_; }  // where as_floats

 private:
  ConstPlanesView planes_;
  Tensor expanded_;
  ConstMatrixView<float> floats_;
};

// Integer thresholds behind exact sums, ready for kernels; empty where there are none.
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

// A row of flags as bytes on the context's device.
Tensor Flags(const PackedModel& model, int blob, int64_t count, ExecContext& context);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PACKED_WEIGHTS_H_
