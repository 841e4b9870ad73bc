#include "bitgrad/models/training/recipe_optimizer.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/optim/optimizers.h"

namespace bitgrad {
namespace {

// Of a recipe::Optimizer or a recipe::UpdateRule: the numbers that only the update rule itself has.
template <typename Message>
Hyperparameters OwnHyperparameters(const Message& message) {
  Hyperparameters own;
  if (message.has_momentum()) own["momentum"] = message.momentum();
  if (message.has_nesterov()) own["nesterov"] = message.nesterov();
  if (message.has_beta1()) own["beta1"] = message.beta1();
  if (message.has_beta2()) own["beta2"] = message.beta2();
  if (message.has_epsilon()) own["epsilon"] = message.epsilon();
  if (message.has_threshold()) own["threshold"] = message.threshold();
  return own;
}

ParameterGroup GroupOf(recipe::UpdateRule::Parameters parameters) {
  switch (parameters) {
    case recipe::UpdateRule::QUANTIZED_WEIGHTS: return ParameterGroup::kQuantizedWeights;
    case recipe::UpdateRule::QUANTIZER_VARIABLES: return ParameterGroup::kQuantizerVariables;
    default: return ParameterGroup::kOthers;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> OptimizerOf(const recipe::Optimizer& recipe, ExecContext& context) {
  std::vector<GroupRule> groups;
  for (int i = 0; i < recipe.rule_size(); ++i) {
    const recipe::UpdateRule& rule = recipe.rule(i);
    const std::string place = absl::StrCat("optimizer.rule[", i, "]");
    if (!rule.has_for_()) {
      return absl::InvalidArgumentError(absl::StrCat(
          place,
          " does not say which parameters it is for; write for: QUANTIZED_WEIGHTS, QUANTIZER_VARIABLES or OTHERS"));
    }
    absl::StatusOr<std::unique_ptr<UpdateRule>> made = MakeUpdateRule(rule.name(), OwnHyperparameters(rule));
    if (!made.ok()) return absl::Status(made.status().code(), absl::StrCat(place, ": ", made.status().message()));
    GroupRule group = {.group = GroupOf(rule.for_()), .rule = *std::move(made), .options = {}};
    group.options.learning_rate = rule.has_learning_rate() ? rule.learning_rate() : recipe.learning_rate();
    group.options.constant_rate = rule.constant_rate();
    if (rule.has_weight_decay()) group.options.weight_decay = rule.weight_decay();
    groups.push_back(std::move(group));
  }
  return MakeOptimizer(context, recipe.name(),
                       {.learning_rate = recipe.learning_rate(),
                        .weight_decay = recipe.weight_decay(),
                        .glorot_scale = recipe.glorot_scale(),
                        .max_gradient_norm = recipe.max_gradient_norm()},
                       OwnHyperparameters(recipe), std::move(groups));
}

}  // namespace bitgrad
