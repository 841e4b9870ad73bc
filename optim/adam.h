// Adam (Kingma & Ba, arXiv 1412.6980, in the efficient form at the end of its section 2):
//
//   m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2        state: m, v
//   step = -lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)

#ifndef BITGRAD_OPTIM_ADAM_H_
#define BITGRAD_OPTIM_ADAM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/update_rule.h"

namespace bitgrad {

struct AdamOptions {
  OptimizerOptions common;
  double beta1 = 0.9;     // in [0, 1)
  double beta2 = 0.999;   // in [0, 1)
  double epsilon = 1e-8;  // > 0
};

// InvalidArgument, naming the option, when one is out of its range. The context outlives the
// optimizer.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdam(ExecContext& context, const AdamOptions& options);

// The rule alone, for the table in optimizers.h. Its hyperparameters are beta1, beta2, epsilon.
absl::StatusOr<std::unique_ptr<UpdateRule>> MakeAdamRule(const Hyperparameters& hyperparameters);

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_ADAM_H_
