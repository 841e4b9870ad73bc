// The networks that recipes can name, with a factory for each.
//
// To add a network, write a message in proto/recipe.proto's Model, a pair of files like mlp.h and mlp.cc, a pair like
// mlp_recipe.h and mlp_recipe.cc, and one line in networks.cc.

#ifndef BITGRAD_MODELS_NETWORKS_H_
#define BITGRAD_MODELS_NETWORKS_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct NetworkInfo {
  recipe::Model::KindCase kind;
  const char* name;
  absl::StatusOr<std::unique_ptr<Model>> (*make)(const recipe::Model& recipe, const ImageShape& image, int64_t classes,
                                                 ParameterStore& store);
  const char* help;
};

// All networks, in the order in which --help prints them.
absl::Span<const NetworkInfo> AllNetworks();

// Builds the recipe's network for `classes` classes of such images. The network takes batches [batch, features];
// convolutions reshape them to [batch, height, width, channels]. An image of 0 features means tokens of `classes` kinds
// in place of images, int32 [steps, streams], which a recurrent net alone takes. Its parameters are made in `store`.
// Errors name the recipe's field (an unknown quantizer, a width of zero) or the layer.
absl::StatusOr<std::unique_ptr<Model>> MakeNetwork(const recipe::Model& recipe, const ImageShape& image,
                                                   int64_t classes, ParameterStore& store);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_NETWORKS_H_
