// A RecurrentNet from its recipe message.

#ifndef BITGRAD_MODELS_RECURRENT_NET_RECIPE_H_
#define BITGRAD_MODELS_RECURRENT_NET_RECIPE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// Builds the RecurrentNet of a recipe, as MakeNetwork() (models/networks.h) does: over tokens where `image` has no
// features, otherwise over images. REQUIRES: recipe.has_recurrent_net().
absl::StatusOr<std::unique_ptr<Model>> MakeRecurrentNetFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                                  int64_t classes, ParameterStore& store);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECURRENT_NET_RECIPE_H_
