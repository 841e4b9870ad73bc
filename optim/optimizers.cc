#include "bitgrad/optim/optimizers.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/optim/adam.h"
#include "bitgrad/optim/adamax.h"
#include "bitgrad/optim/sgd.h"

namespace bitgrad {

absl::Span<const OptimizerInfo> AllOptimizers() {
  static constexpr OptimizerInfo kOptimizers[] = {
      {"sgd", MakeSgdFrom, "stochastic gradient descent: momentum=0, nesterov=0 (or 1)"},
      {"adam", MakeAdamFrom, "Adam: beta1=0.9, beta2=0.999, epsilon=1e-8"},
      {"adamax", MakeAdaMaxFrom, "AdaMax, BNN's: beta1=0.9, beta2=0.999, epsilon=2^-27"},
  };
  return kOptimizers;
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(ExecContext& context, absl::string_view name,
                                                         const OptimizerOptions& common,
                                                         const Hyperparameters& hyperparameters) {
  std::vector<std::string> names;
  for (const OptimizerInfo& info : AllOptimizers()) {
    if (name == info.name) return info.make(context, common, hyperparameters);
    names.push_back(info.name);
  }
  return absl::NotFoundError(
      absl::StrCat("no optimizer '", name, "'", DidYouMean(name, names), "; there are: ", absl::StrJoin(names, ", ")));
}

}  // namespace bitgrad
