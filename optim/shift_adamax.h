// The shift-based AdaMax of BNN (Hubara et al., arXiv 1602.02830). What AdaMax multiplies by is rounded to powers of
// two, AP2(x) = 2^round(log2 x) and AP2(0) = 0, so that the products are shifts:
//
//   m = beta1 m + (1 - beta1) g';  u = max(beta2 v, |g'|)                              state: m, v
//   step = -AP2(lr / (1 - beta1^t)) m / (AP2(u) + epsilon)
//
//   shift_adamax         the paper's        v = u                   beta1 = 1 - 2^-3, beta2 = 1 - 2^-10
//   shift_adamax_torch   the authors' code  v = AP2(u) + epsilon    beta1 = 0.9, beta2 = 0.999
//
// epsilon = 2^-27, which is the Torch code's, keeps 0 / 0 away.
//
// The Torch code overwrites v with its power of two. A beta2 near 1 then has no effect, because AP2(beta2 2^k) = 2^k: v
// is that of the largest gradient that there has been, and never falls.
//
// With `glorot_scale` a step of a quantized weight is also multiplied by the Glorot scale. shift_adamax rounds that to
// a power of two, so that it is a shift as well. The Torch code rounds it for CIFAR-10 and not for MNIST;
// shift_adamax_torch does not.

#ifndef BITGRAD_OPTIM_SHIFT_ADAMAX_H_
#define BITGRAD_OPTIM_SHIFT_ADAMAX_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/optim/update_rule.h"

namespace bitgrad {

// The rules, for the table in optimizers.h. Their hyperparameters are beta1 and beta2, in [0, 1), and epsilon > 0.
absl::StatusOr<std::unique_ptr<UpdateRule>> MakeShiftAdaMaxRule(const Hyperparameters& hyperparameters);
absl::StatusOr<std::unique_ptr<UpdateRule>> MakeShiftAdaMaxTorchRule(const Hyperparameters& hyperparameters);

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_SHIFT_ADAMAX_H_
