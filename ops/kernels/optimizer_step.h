// A training step's update of all parameters: gradient scale, weight decay, optimizer, clip of the latent weights,
// their signs as bits, and the counts that training shows, in one pass over memory. float32.
//
//   g'      = gradient_scale * g + weight_decay * w
//   w'      = w + weight_scale * (step of the optimizer on g')
//   w_new   = clip(w', -clip, clip)                            clip = infinity: none
//
// weight_scale is BinaryConnect's Glorot learning-rate scale: it multiplies the step.
//
// What changes from step to step is in the device's memory (StepScalars), so that a step can be recorded and run again
// (core/recorded_work.h).

#ifndef BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_
#define BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_

#include <cstdint>

#include "absl/types/span.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"

namespace bitgrad {

// A parameter: its arrays, and what is its own of the formulas.
struct StepTensor {
  const float* gradient;
  float* weight;
  float* slots[2];  // what the optimizer keeps: none, [velocity], [m, v]; else null
  int64_t count;    // elements of each array
  float weight_decay;
  float weight_scale;
  float clip;
  // Where words is not null: bit = w_new >= 0, for the next forward pass, and, where they are not null, the rows' ones
  // (not on the CPU, whose products do not need them). Its elements, row by row, are those of the weight.
  BitMatrixView signs = {};
};

// On the device.
struct StepScalars {
  float rate;            // set by the host: lr, with the corrections below
  float gradient_scale;  // clipping by global norm
  int32_t failed;        // not 0: a gradient was not finite. Stays until the host sets it to 0
};

// On the device, one for each parameter; both 0 in a step that fails.
struct StepCounts {
  int64_t sign_flips;  // elements with (w_new >= 0) != (w >= 0)
  int64_t at_clip;     // elements with |w_new| >= clip; 0 for an infinite clip
};

// Before the update. With N = sqrt(sum squares[i]), the norm of all gradients: gradient_scale = min(1, max_norm / N), 1
// where max_norm is 0; failed becomes 1 where a square or *loss (null: none) is not finite. Counts, and ones of signs,
// become 0. squares, counts: one for each tensor.
using PrepareStep = void(ExecContext& context, const double* squares, const float* loss, double max_norm,
                         absl::Span<const StepTensor> tensors, StepScalars* scalars, StepCounts* counts);

// The updates change nothing where scalars->failed. REQUIRES: PrepareStep() came before.
//
// Plain SGD (momentum = 0, no slots):        step = -rate g'                                 rate = lr
// Momentum:                                  v = momentum v - rate g';  step = v
// Nesterov:                                  v = momentum v - rate g';  step = momentum v - rate g'
using SgdStep = void(ExecContext& context, float momentum, bool nesterov, const StepScalars* scalars,
                     absl::Span<const StepTensor> tensors, StepCounts* counts);

struct AdamArgs {
  float beta1;
  float beta2;
  float epsilon;
};

// Adam (Kingma & Ba, arXiv 1412.6980, epsilon outside the root as in section 2's efficient form):
//   m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2
//   step = -rate m / (sqrt(v) + epsilon)                       rate = lr sqrt(1 - b2^t) / (1 - b1^t), t = 1, 2, ...
using AdamStep = void(ExecContext& context, const AdamArgs& adam, const StepScalars* scalars,
                      absl::Span<const StepTensor> tensors, StepCounts* counts);

// AdaMax (the same paper, section 7.1; epsilon guards the division, as in BNN's code):
//   m = b1 m + (1 - b1) g';  v = max(b2 v, |g'|);  step = -rate m / (v + epsilon)       rate = lr / (1 - b1^t)
using AdaMaxStep = void(ExecContext& context, const AdamArgs& adam, const StepScalars* scalars,
                        absl::Span<const StepTensor> tensors, StepCounts* counts);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_
