// The networks that recipes can name, one factory each.
//
// To add a network: a message in proto/recipe.proto's Model, a pair like mlp.h/.cc, one line in networks.cc.

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

absl::Span<const NetworkInfo> AllNetworks();

// The recipe's network for batches [batch, features] of such images and `classes` outputs, its parameters in `store`.
// Networks of convolutions reshape their input to [batch, height, width, channels]. Errors name the field (an unknown
// quantizer, a width of zero).
absl::StatusOr<std::unique_ptr<Model>> MakeNetwork(const recipe::Model& recipe, const ImageShape& image,
                                                   int64_t classes, ParameterStore& store);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_NETWORKS_H_
