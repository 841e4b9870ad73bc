// The table of all update rules, one line each in optimizers.cc. Recipes choose from it by name, --help prints it, and
// the test suites of optimizers run over it.
//
//   MakeOptimizer(context, "adam", {.learning_rate = 3e-3, .glorot_scale = true},
//                 {{"beta1", 0.95}})

#ifndef BITGRAD_OPTIM_OPTIMIZERS_H_
#define BITGRAD_OPTIM_OPTIMIZERS_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/update_rule.h"

namespace bitgrad {

struct UpdateRuleInfo {
  const char* name;
  absl::StatusOr<std::unique_ptr<UpdateRule>> (*make)(const Hyperparameters& hyperparameters);
  const char* help;  // one line: what it is and its hyperparameters with their defaults
};

absl::Span<const UpdateRuleInfo> AllUpdateRules();

// NotFound for an unknown name, with the nearest one and all names there are; InvalidArgument for hyperparameters that
// are out of range or that the rule does not have.
absl::StatusOr<std::unique_ptr<UpdateRule>> MakeUpdateRule(absl::string_view name,
                                                           const Hyperparameters& hyperparameters = {});

// An optimizer with the rule of that name for all parameters but those of the groups that have their own. Errors are
// those of MakeUpdateRule() and Optimizer::Create(). The context outlives the optimizer.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(ExecContext& context, absl::string_view name,
                                                         const OptimizerOptions& common,
                                                         const Hyperparameters& hyperparameters = {},
                                                         std::vector<GroupRule> groups = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_OPTIMIZERS_H_
