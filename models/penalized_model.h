// PenalizedModel: a network with what a recipe adds to its loss (recipe.proto: ScalePenalty, BitCost,
// SplinePenalty).

#ifndef BITGRAD_MODELS_PENALIZED_MODEL_H_
#define BITGRAD_MODELS_PENALIZED_MODEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// The network itself where the recipe has no penalty. Otherwise a model that has the network's forward pass, and whose
// Penalty() is that of the recipe: lambda * SumOfScalePenalties() + gamma * CostOfBits() + weight *
// SumOfSplinePenalties() (models/penalties.h). Hardening ends the cost of bits. Lambda, gamma and the weight are made
// below scope / "penalty". Errors name the recipe's field.
absl::StatusOr<std::unique_ptr<Model>> WithPenalties(const recipe::Model& recipe, const Scope& scope,
                                                     std::unique_ptr<Model> network);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_PENALIZED_MODEL_H_
