// A ResidualNet from its recipe message.

#ifndef BITGRAD_MODELS_RESIDUAL_NET_RECIPE_H_
#define BITGRAD_MODELS_RESIDUAL_NET_RECIPE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// Builds the ResidualNet of a recipe, as MakeNetwork() (models/networks.h) does. REQUIRES: recipe.has_residual_net().
absl::StatusOr<std::unique_ptr<Model>> MakeResidualNetFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                                 int64_t classes, ParameterStore& store);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RESIDUAL_NET_RECIPE_H_
