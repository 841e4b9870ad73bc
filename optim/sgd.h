// Stochastic gradient descent; momentum as in Sutskever et al., ICML 2013.
//
//   momentum 0:  step = -lr g'
//   otherwise:   v = momentum v - lr g';  step = v                       state: velocity (v)
//   nesterov:    v = momentum v - lr g';  step = momentum v - lr g'
//
// The learning rate is inside v: after a change of rate the old velocity fades at its old size.

#ifndef BITGRAD_OPTIM_SGD_H_
#define BITGRAD_OPTIM_SGD_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/update_rule.h"

namespace bitgrad {

struct SgdOptions {
  OptimizerOptions common;
  double momentum = 0;    // in [0, 1)
  bool nesterov = false;  // needs a momentum
};

// InvalidArgument, naming the option, when one is out of its range. The context outlives the
// optimizer.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeSgd(ExecContext& context, const SgdOptions& options);

// The rule alone, for the table in optimizers.h. Its hyperparameters are momentum, nesterov (0 or 1).
absl::StatusOr<std::unique_ptr<UpdateRule>> MakeSgdRule(const Hyperparameters& hyperparameters);

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_SGD_H_
