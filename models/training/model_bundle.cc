#include "bitgrad/models/training/model_bundle.h"

#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/networks.h"

namespace bitgrad {

absl::StatusOr<ModelBundle> MakeModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes) {
  ModelBundle bundle;
  bundle.store = std::make_unique<ParameterStore>(recipe.seed());
  BITGRAD_ASSIGN_OR_RETURN(bundle.model, MakeNetwork(recipe.model(), image, classes, *bundle.store));
  return bundle;
}

void MoveToDevice(ExecContext& context, ParameterStore& store) {
  for (Parameter* parameter : store.parameters()) parameter->value = ToDevice(context, parameter->value);
}

absl::StatusOr<ModelBundle> LoadModel(const Checkpoint& checkpoint) {
  const checkpoint::Header& header = checkpoint.header();
  BITGRAD_ASSIGN_OR_RETURN(ModelBundle bundle, MakeModel(header.recipe(), ImageShapeOf(header), header.classes()));
  BITGRAD_RETURN_IF_ERROR(checkpoint.RestoreParameters(*bundle.store));
  return bundle;
}

absl::StatusOr<std::shared_ptr<const Preprocessing>> LoadPreprocessing(const Checkpoint& checkpoint) {
  const auto& texts = checkpoint.header().recipe().data().preprocessing();
  BITGRAD_ASSIGN_OR_RETURN(Preprocessing preprocessing,
                           ParsePreprocessing(std::vector<std::string>(texts.begin(), texts.end())));
  BITGRAD_RETURN_IF_ERROR(preprocessing.SetShape(ImageShapeOf(checkpoint.header())));
  BITGRAD_RETURN_IF_ERROR(checkpoint.RestorePreprocessing(preprocessing));
  return std::make_shared<const Preprocessing>(std::move(preprocessing));
}

}  // namespace bitgrad
