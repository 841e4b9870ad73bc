#include "bitgrad/models/training/recipe_optimizer.h"

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/optim/optimizers.h"

namespace bitgrad {
namespace {

// Of a recipe::Optimizer or a recipe::UpdateRule: the numbers that only the update rule itself has.
template <typename Message>
Hyperparameters OwnHyperparameters(const Message& message) {
  Hyperparameters own;
  if (message.has_momentum()) own["momentum"] = message.momentum();
  if constexpr (std::is_same_v<Message, recipe::Optimizer>) {
    if (message.has_momentum_schedule()) own["momentum"] = message.momentum_schedule().initial();
  }
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
    case recipe::UpdateRule::SPLINES: return ParameterGroup::kSplines;
    default: return ParameterGroup::kOthers;
  }
}

}  // namespace

absl::StatusOr<ScalarSchedule> MomentumOf(const recipe::Optimizer& recipe) {
  ScalarSchedule momentum = {.initial = recipe.momentum()};
  if (!recipe.has_momentum_schedule()) return momentum;
  constexpr char kField[] = "optimizer.momentum_schedule";
  if (recipe.has_momentum()) {
    return InField(kField, absl::InvalidArgumentError("there is optimizer.momentum, too; keep one of them"));
  }
  BITGRAD_RETURN_IF_ERROR(ReadScalar(kField, recipe.momentum_schedule(), momentum));
  const bool changes = momentum.change != ScalarChange::kConstant;
  for (const double value : {momentum.initial, changes ? momentum.final : momentum.initial}) {
    // A velocity is kept only where there is a momentum from the beginning on.
    if (value > 0 && value < 1) continue;
    return InField(kField, absl::InvalidArgumentError(absl::StrCat(value, " is not between 0 and 1")));
  }
  return momentum;
}

absl::StatusOr<std::unique_ptr<Optimizer>> OptimizerOf(const recipe::Optimizer& recipe, ExecContext& context) {
  std::vector<GroupRule> groups;
  for (int i = 0; i < recipe.rule_size(); ++i) {
    const recipe::UpdateRule& rule = recipe.rule(i);
    const std::string place = absl::StrCat("optimizer.rule[", i, "]");
    if (!rule.has_for_()) {
      return absl::InvalidArgumentError(absl::StrCat(
          place,
          " does not say which parameters it is for; write for: QUANTIZED_WEIGHTS, QUANTIZER_VARIABLES, SPLINES or "
          "OTHERS"));
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
