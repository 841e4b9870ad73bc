// LinearStep: a linear instruction, prepared for running. Where its sums are integers, few-bit weights are read as the
// bits of the file; where they are floats, the weights are expanded to floats once.

#ifndef BITGRAD_RUNTIME_LINEAR_STEP_H_
#define BITGRAD_RUNTIME_LINEAR_STEP_H_

#include <cstdint>

#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/dot_kernel.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/packed_weights.h"
#include "bitgrad/runtime/product_output.h"
#include "bitgrad/runtime/step.h"

namespace bitgrad {

class LinearStep final : public Step {
 public:
  // REQUIRES: instruction `i` is linear; the model and the frame outlive the step.
  LinearStep(const PackedModel& model, int i, Frame& frame);

  void Run(Frame& frame) override;

 private:
  void RunIntegers(Frame& frame);
  void RunFloats(Frame& frame);

  const DotKernel kernel_;  // of one row
  const int operand_;
  const int result_;
  const Encoding encoding_;  // of the operand
  const int64_t in_, out_;
  const PackedWeights weights_;
  const ProductOutput output_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_LINEAR_STEP_H_
