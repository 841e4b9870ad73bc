// The update of all parameters in a training step, float32. One pass over memory does it all: gradient scale, weight
// decay, the step of the update rule, the bounds of the values, their signs as bits, and the counts that training
// shows.
//
//   g'      = gradient_scale * g + weight_decay * w
//   w'      = w + weight_scale * (step of the update rule on g')
//   w_new   = clip(w', least, most)                            an infinite bound is none
//
// weight_scale is BinaryConnect's Glorot learning-rate scale: it multiplies the step of the update rule.
//
// Numbers that change from step to step are read from the device's memory (StepScalars, RuleNumbers), so that a step
// can be recorded and enqueued again (core/recorded_work.h). Parameters that are trained by different update rules
// share the StepScalars of a step; each rule has RuleNumbers of its own.

#ifndef BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_
#define BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_

#include <cstdint>

#include "absl/types/span.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/round_numbers.h"

namespace bitgrad {

// One parameter: its arrays, and those numbers of the formulas that belong to it alone.
struct StepTensor {
  const float* gradient;
  float* weight;
  float* slots[2];  // the update rule's state: none, [velocity], [m] or [m, v]; the rest is null
  int64_t count;    // elements of each array
  float weight_decay;
  float weight_scale;
  float least, most;
  // Where signs.words is not null, the update writes bit = w_new >= 0 for the next forward pass. Where signs.ones is
  // not null, it also counts the ones of each row (not on the CPU, whose products do not need them). Row by row, the
  // elements of `signs` are those of the weight.
  BitMatrixView signs = {};
  // Of arithmetic of low precision (SgdStep alone): of the step of the update rule, which is also what a velocity
  // keeps, and of w_new.
  Rounding round_step = {};
  Rounding round_weight = {};

  bool rounds() const {
    return round_step.kind != NumberFormatKind::kFloat || round_weight.kind != NumberFormatKind::kFloat;
  }
};

// In the device's memory.
struct StepScalars {
  float gradient_scale;  // clipping by global norm
  int32_t failed;        // not 0: a gradient or the loss was not finite. Stays so until the host sets it to 0
};

// The numbers of an update rule, in the device's memory, where the host sets them before each step.
struct RuleNumbers {
  float rate;      // the learning rate lr with the corrections below
  float momentum;  // of SGD
};

// In the device's memory, one for each parameter. Both counts are 0 after a step that failed.
struct StepCounts {
  int64_t sign_flips;  // elements with (w_new >= 0) != (w >= 0)
  int64_t at_clip;     // elements with w_new <= least or w_new >= most; an infinite bound is never reached
};

// Runs before the update. N = sqrt(sum of squares[i]) is the norm of all gradients. Sets gradient_scale = min(1,
// max_norm / N), or 1 where max_norm is 0. Sets `failed` to 1 where one of the squares, or *loss, is not finite (`loss`
// may be null). Sets all counts to 0 and, unless `failed` is set, the ones of all signs.   squares, counts
// [tensors.size()]
using PrepareStep = void(ExecContext& context, const double* squares, const float* loss, double max_norm,
                         absl::Span<const StepTensor> tensors, StepScalars* scalars, StepCounts* counts);

// The updates change nothing where scalars->failed is not 0. REQUIRES: PrepareStep() ran before.
//
// Plain SGD (no slots):                      step = -rate g'                                 rate = lr
// Momentum:                                  v = momentum v - rate g';  step = v
// Nesterov:                                  v = momentum v - rate g';  step = momentum v - rate g'
//
// With rounding (REQUIRES: not Nesterov):    v = round_step(momentum v - rate g');  w_new = round_weight(clip(w'))
// Signs are not packed then.
using SgdStep = void(ExecContext& context, bool nesterov, const RuleNumbers* numbers, const StepScalars* scalars,
                     absl::Span<const StepTensor> tensors, StepCounts* counts);

// Plain SGD for a gradient by rows (Parameter::gradient_rows), without decay, bounds, signs and rounding: the step of
// SgdStep for row rows[i] of w, with the gradient's row i, for all i with rows[i] >= 0. It changes what SgdStep would
// change with the gradient in the shape of w, to the same bits. Changes nothing where scalars->failed is not 0.
//   rows [gradient.rows], distinct where not negative; gradient [.., n], w [.., n]
using SgdRowsStep = void(ExecContext& context, const RuleNumbers* numbers, const StepScalars* scalars,
                         const int32_t* rows, ConstMatrixView<float> gradient, float weight_scale, MatrixView<float> w,
                         StepCounts* counts);

struct AdamArgs {
  float beta1;
  float beta2;
  float epsilon;
};

// Adam (Kingma & Ba, arXiv 1412.6980, epsilon outside the root as in section 2's efficient form):
//   m = b1 m + (1 - b1) g';  v = b2 v + (1 - b2) g'^2
//   step = -rate m / (sqrt(v) + epsilon)                       rate = lr sqrt(1 - b2^t) / (1 - b1^t), t = 1, 2, ...
using AdamStep = void(ExecContext& context, const AdamArgs& adam, const RuleNumbers* numbers,
                      const StepScalars* scalars, absl::Span<const StepTensor> tensors, StepCounts* counts);

// AdaMax (the same paper, section 7.1; epsilon guards the division, as in BNN's code):
//   m = b1 m + (1 - b1) g';  v = max(b2 v, |g'|);  step = -rate m / (v + epsilon)       rate = lr / (1 - b1^t)
using AdaMaxStep = void(ExecContext& context, const AdamArgs& adam, const RuleNumbers* numbers,
                        const StepScalars* scalars, absl::Span<const StepTensor> tensors, StepCounts* counts);

// BNN's shift-based AdaMax (Hubara et al., arXiv 1602.02830), AP2(v) = 2^round(log2 v), AP2(0) = 0:
//   m = b1 m + (1 - b1) g';  u = max(b2 v, |g'|);  step = -rate m / (AP2(u) + epsilon)  rate = AP2(lr / (1 - b1^t))
//   v = u or, with `keeps_divisor`, AP2(u) + epsilon
using ShiftAdaMaxStep = void(ExecContext& context, const AdamArgs& adam, bool keeps_divisor, const RuleNumbers* numbers,
                             const StepScalars* scalars, absl::Span<const StepTensor> tensors, StepCounts* counts);

// Bop (Helwegen et al., arXiv 1906.02107) flips binary weights; there are no latent ones:
//   m = (1 - rate) m + rate g'                                 rate = gamma, in (0, 1]
//   w_new = -s where m s > threshold, else s                   s = +1 where w >= 0, else -1; threshold >= 0
// m s > threshold says that |m| exceeds the threshold and m has the weight's sign. Weights that are not -1 or +1 yet
// become so in their first step. weight_scale does not apply, nor do the bounds, except in counts.at_clip.
using BopStep = void(ExecContext& context, float threshold, const RuleNumbers* numbers, const StepScalars* scalars,
                     absl::Span<const StepTensor> tensors, StepCounts* counts);

// Max-norm constraint (Srebro & Shraibman, COLT 2005): each row whose Euclidean norm exceeds max_norm is scaled to it,
//
//   w[i, j] = round_weight(w[i, j] max_norm / norm[i])          norm[i] = sqrt(sum over j of w[i, j]^2), in double
//
// other rows stay as they are. Changes nothing where scalars->failed is not 0; overflows are not counted.
// w [m, n], in place
using LimitRowNorms = void(ExecContext& context, float max_norm, const Rounding& round_weight,
                           const StepScalars* scalars, MatrixView<float> w);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_OPTIMIZER_STEP_H_
