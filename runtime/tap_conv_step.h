// TapConvStep: a tap_conv2d instruction, prepared for running: on the CPU by a kernel of its own, elsewhere as a
// convolution by whole kernels.

#ifndef BITGRAD_RUNTIME_TAP_CONV_STEP_H_
#define BITGRAD_RUNTIME_TAP_CONV_STEP_H_

#include "absl/types/optional.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/product_output.h"
#include "bitgrad/runtime/step.h"
#include "bitgrad/runtime/tap_convolution.h"

namespace bitgrad {

class TapConvStep final : public Step {
 public:
  // REQUIRES: instruction `i` is tap_conv2d; the model and the frame outlive the step.
  TapConvStep(const PackedModel& model, int i, Frame& frame);

  void Run(Frame& frame) override;

 private:
  ConvGeometry geometry_;
  const int operand_;
  const int result_;
  absl::optional<TapConvolution> convolution_;
  Tensor kernels_;  // whole ones, where there is no kernel for taps
  const ProductOutput output_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_TAP_CONV_STEP_H_
