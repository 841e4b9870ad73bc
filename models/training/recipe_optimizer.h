// The optimizer that a recipe asks for.

#ifndef BITGRAD_MODELS_TRAINING_RECIPE_OPTIMIZER_H_
#define BITGRAD_MODELS_TRAINING_RECIPE_OPTIMIZER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/models/scheduled_scalar.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// Errors are those of MakeOptimizer() (optim/optimizers.h); what is wrong with one of the rules names the rule's place,
// "optimizer.rule[0]". The context outlives the optimizer.
absl::StatusOr<std::unique_ptr<Optimizer>> OptimizerOf(const recipe::Optimizer& recipe, ExecContext& context);

// The momentum of the rule for all parameters in the course of training; constant where the recipe has no
// momentum_schedule. Errors, naming the field: a schedule that cannot be followed, values that are not between 0 and 1,
// a schedule beside optimizer.momentum.
absl::StatusOr<ScalarSchedule> MomentumOf(const recipe::Optimizer& recipe);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_RECIPE_OPTIMIZER_H_
