// The table of all optimizers, one line each in optimizers.cc. Recipes choose from it by name, --help prints it, and
// the test suites of optimizers run over it.
//
//   MakeOptimizer(context, "adam", {.learning_rate = 3e-3, .glorot_scale = true},
//                 {{"beta1", 0.95}})

#ifndef BITGRAD_OPTIM_OPTIMIZERS_H_
#define BITGRAD_OPTIM_OPTIMIZERS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/optim/optimizer.h"

namespace bitgrad {

struct OptimizerInfo {
  const char* name;
  absl::StatusOr<std::unique_ptr<Optimizer>> (*make)(ExecContext& context, const OptimizerOptions& common,
                                                     const Hyperparameters& hyperparameters);
  const char* help;  // one line: what it is and its hyperparameters with their defaults
};

absl::Span<const OptimizerInfo> AllOptimizers();

// NotFound for an unknown name, with the nearest one and all names there are; InvalidArgument for options out of range
// and for hyperparameters that the optimizer does not have. The context outlives the optimizer.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(ExecContext& context, absl::string_view name,
                                                         const OptimizerOptions& common,
                                                         const Hyperparameters& hyperparameters = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_OPTIMIZERS_H_
