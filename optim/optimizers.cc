#include "bitgrad/optim/optimizers.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/optim/adam.h"
#include "bitgrad/optim/adamax.h"
#include "bitgrad/optim/bop.h"
#include "bitgrad/optim/sgd.h"
#include "bitgrad/optim/shift_adamax.h"

namespace bitgrad {

absl::Span<const UpdateRuleInfo> AllUpdateRules() {
  static constexpr UpdateRuleInfo kRules[] = {
      {"sgd", MakeSgdRule, "stochastic gradient descent: momentum=0, nesterov=0 (or 1)"},
      {"adam", MakeAdamRule, "Adam: beta1=0.9, beta2=0.999, epsilon=1e-8"},
      {"adamax", MakeAdaMaxRule, "AdaMax, BNN's: beta1=0.9, beta2=0.999, epsilon=2^-27"},
      {"shift_adamax", MakeShiftAdaMaxRule, "shift-based AdaMax, BNN's: beta1=0.875, beta2=1-2^-10, epsilon=2^-27"},
      {"shift_adamax_torch", MakeShiftAdaMaxTorchRule,
       "the same as in BNN's Torch code: beta1=0.9, beta2=0.999, epsilon=2^-27"},
      {"bop", MakeBopRule, "Bop, flips binary weights, for a rule of QUANTIZED_WEIGHTS: threshold=1e-8"},
  };
  return kRules;
}

absl::StatusOr<std::unique_ptr<UpdateRule>> MakeUpdateRule(absl::string_view name,
                                                           const Hyperparameters& hyperparameters) {
  std::vector<std::string> names;
  for (const UpdateRuleInfo& info : AllUpdateRules()) {
    if (name == info.name) return info.make(hyperparameters);
    names.push_back(info.name);
  }
  return absl::NotFoundError(
      absl::StrCat("no optimizer '", name, "'", DidYouMean(name, names), "; there are: ", absl::StrJoin(names, ", ")));
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(ExecContext& context, absl::string_view name,
                                                         const OptimizerOptions& common,
                                                         const Hyperparameters& hyperparameters,
                                                         std::vector<GroupRule> groups) {
  BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<UpdateRule> rule, MakeUpdateRule(name, hyperparameters));
  return Optimizer::Create(context, common, std::move(rule), std::move(groups));
}

}  // namespace bitgrad
