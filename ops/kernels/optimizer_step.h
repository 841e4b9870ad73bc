// One pass over a parameter per training step: gradient scale, weight decay, optimizer, clip of the latent
// weight, its signs as bits, and the counts that training shows. float32.
//
//   g'      = gradient_scale * g + weight_decay * w
//   w'      = w + weight_scale * (step of the optimizer on g')
//   w_new   = clip(w', -clip, clip)                            clip = infinity: none
//
// weight_scale is BinaryConnect's Glorot learning-rate scale: it multiplies the step.

#ifndef BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_
#define BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_

#include <cstdint>

#include "core/bit_matrix.h"
#include "core/exec_context.h"

namespace bitgrad {

struct StepArgs {
  float learning_rate;
  float gradient_scale;  // clipping by global norm
  float weight_decay;
  float weight_scale;
  float clip;
  // Where words is not null: bit = w_new >= 0, for the next forward pass. Its elements, row by row, are those of the weight.
  BitMatrixView signs = {};
};

// Written by each step, on the device.
struct StepCounts {
  int64_t sign_flips;  // elements with (w_new >= 0) != (w >= 0)
  int64_t at_clip;     // elements with |w_new| >= clip; 0 for an infinite clip
};

// Plain SGD (momentum = 0, velocity null):   step = -lr g'
// Momentum:                                  v = momentum v - lr g';  step = v
// Nesterov:                                  v = momentum v - lr g';  step = momentum v - lr g'
using SgdStep = void(ExecContext& context, const StepArgs& args, float momentum, bool nesterov,
                     const float* gradient, float* velocity, float* weight, int64_t count,
                     StepCounts* counts);

// Adam (Kingma & Ba, arXiv 1412.6980, epsilon outside the root as in section 2's efficient form):
//   m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2
//   step = -lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)          t = 1, 2, ...
struct AdamArgs {
  float beta1;
  float beta2;
  float epsilon;
  int64_t t;
};
using AdamStep = void(ExecContext& context, const StepArgs& args, const AdamArgs& adam,
                      const float* gradient, float* m, float* v, float* weight, int64_t count,
                      StepCounts* counts);

// AdaMax (the same paper, section 7.1; epsilon guards the division, as in BNN's code):
//   m = b1 m + (1 - b1) g';  v = max(b2 v, |g'|);  step = -lr / (1 - b1^t) * m / (v + epsilon)
using AdaMaxStep = void(ExecContext& context, const StepArgs& args, const AdamArgs& adam,
                        const float* gradient, float* m, float* v, float* weight, int64_t count,
                        StepCounts* counts);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_
