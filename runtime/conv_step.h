// ConvStep: a conv2d instruction, prepared for running.

#ifndef BITGRAD_RUNTIME_CONV_STEP_H_
#define BITGRAD_RUNTIME_CONV_STEP_H_

#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/kernel_choice.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/packed_weights.h"
#include "bitgrad/runtime/product_output.h"
#include "bitgrad/runtime/step.h"

namespace bitgrad {

class ConvStep final : public Step {
 public:
  // REQUIRES: instruction `i` is conv2d; the model and the frame outlive the step.
  ConvStep(const PackedModel& model, int i, Frame& frame);

  void Run(Frame& frame) override;

 private:
  void RunFloats(Frame& frame);

  const ConvChoice choice_;
  ConvGeometry geometry_;
  const int operand_;
  const int result_;
  const PackedValue& x_;
  int32_t border_code_ = 0;
  const PackedWeights weights_;
  const ProductOutput output_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_CONV_STEP_H_
