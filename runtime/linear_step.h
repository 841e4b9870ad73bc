// LinearStep: a linear instruction, prepared for running. Where its sums are integers, few-bit weights are read as the
// bits of the file; where they are floats, the weights are expanded to floats once.

#ifndef BITGRAD_RUNTIME_LINEAR_STEP_H_
#define BITGRAD_RUNTIME_LINEAR_STEP_H_

#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/packed_weights.h"
#include "bitgrad/runtime/quantized_input.h"
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
  // What the kernel is to do with the sums: scale them to floats, or compare them with thresholds.
  DotOutput Output(Frame& frame) const;

  const bool in_integers_;
  const int result_;
  const float scale_;
  QuantizedInput input_;
  const PackedWeights weights_;
  const PackedThreshold threshold_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_LINEAR_STEP_H_
