#include "models/training/model_bundle.h"

#include "core/status_macros.h"
#include "models/networks.h"

namespace bitgrad {

absl::StatusOr<ModelBundle> MakeModel(const recipe::Recipe& recipe, const Shape& image, int64_t classes) {
  ModelBundle bundle;
  bundle.store = std::make_unique<ParameterStore>(recipe.seed());
  BITGRAD_ASSIGN_OR_RETURN(bundle.model,
                           MakeNetwork(recipe.model(), image, classes, *bundle.store));
  return bundle;
}

absl::StatusOr<ModelBundle> LoadModel(const Checkpoint& checkpoint) {
  const checkpoint::Header& header = checkpoint.header();
  const Shape image = header.image_size() == 0
                          ? Shape({header.features()})
                          : Shape(absl::MakeConstSpan(header.image().data(), static_cast<size_t>(header.image_size())));
  BITGRAD_ASSIGN_OR_RETURN(ModelBundle bundle, MakeModel(header.recipe(), image, header.classes()));
  BITGRAD_RETURN_IF_ERROR(checkpoint.RestoreParameters(*bundle.store));
  return bundle;
}

}  // namespace bitgrad
