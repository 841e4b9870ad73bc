// Optimizers by the names that cases of training tests have.

#ifndef BITGRAD_TESTS_MODELS_OPTIMIZER_TESTING_H_
#define BITGRAD_TESTS_MODELS_OPTIMIZER_TESTING_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/optim/optimizers.h"

namespace bitgrad {

// The optimizer of that name; for "bop" Adam, with Bop for the quantized weights.
inline std::unique_ptr<Optimizer> OptimizerNamed(ExecContext& context, const std::string& name,
                                                 const OptimizerOptions& options) {
  std::vector<GroupRule> groups;
  if (name == "bop") {
    groups.push_back({ParameterGroup::kQuantizedWeights,
                      MakeUpdateRule("bop", {{"threshold", 1e-5}}).value(),
                      {.learning_rate = 0.05}});
  }
  return MakeOptimizer(context, name == "bop" ? "adam" : name, options, {}, std::move(groups)).value();
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_MODELS_OPTIMIZER_TESTING_H_
