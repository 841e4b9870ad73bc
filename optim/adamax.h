// AdaMax (Kingma & Ba, arXiv 1412.6980, section 7.1), the optimizer of the BNN papers:
//
//   m = beta1 m + (1 - beta1) g';  v = max(beta2 v, |g'|)                state: m, v
//   step = -lr / (1 - beta1^t) m / (v + epsilon)
//
// epsilon, which the paper does not have, keeps 0 / 0 away; its default is BNN's Torch code's.

#ifndef BITGRAD_OPTIM_ADAMAX_H_
#define BITGRAD_OPTIM_ADAMAX_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/update_rule.h"

namespace bitgrad {

struct AdaMaxOptions {
  OptimizerOptions common;
  double beta1 = 0.9;        // in [0, 1)
  double beta2 = 0.999;      // in [0, 1)
  double epsilon = 0x1p-27;  // > 0
};

// InvalidArgument, naming the option, when one is out of its range. The context outlives the
// optimizer.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdaMax(ExecContext& context, const AdaMaxOptions& options);

// The rule alone, for the table in optimizers.h. Its hyperparameters are beta1, beta2, epsilon.
absl::StatusOr<std::unique_ptr<UpdateRule>> MakeAdaMaxRule(const Hyperparameters& hyperparameters);

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_ADAMAX_H_
