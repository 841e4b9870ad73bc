#include "bitgrad/models/training/model_bundle.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/networks.h"

namespace bitgrad {

namespace {

// restored: null for initial values.
absl::StatusOr<ModelBundle> Make(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes,
                                 const Checkpoint* restored) {
  ModelBundle bundle;
  bundle.store = std::make_unique<ParameterStore>(recipe.seed());
  if (restored != nullptr) {
    bundle.store->set_parameter_check(
        [restored](absl::string_view name, const Shape& shape) { return restored->CheckParameter(name, shape); });
  }
  BITGRAD_ASSIGN_OR_RETURN(bundle.model, MakeNetwork(recipe.model(), image, classes, *bundle.store));
  bundle.store->set_parameter_check(nullptr);
  if (restored != nullptr) BITGRAD_RETURN_IF_ERROR(restored->RestoreParameters(*bundle.store));
  return bundle;
}

}  // namespace

absl::StatusOr<ModelBundle> MakeModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes) {
  return Make(recipe, image, classes, nullptr);
}

absl::StatusOr<ModelBundle> RestoreModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes,
                                         const Checkpoint& checkpoint) {
  return Make(recipe, image, classes, &checkpoint);
}

absl::StatusOr<ModelBundle> LoadModel(const Checkpoint& checkpoint) {
  const checkpoint::Header& header = checkpoint.header();
  if (!header.has_recipe()) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint '", checkpoint.path(), "' has no recipe: build its model and restore the parameters"));
  }
  return RestoreModel(header.recipe(), ImageShapeOf(header), header.classes(), checkpoint);
}

void MoveToDevice(ExecContext& context, ParameterStore& store) {
  for (Parameter* parameter : store.parameters()) parameter->value = ToDevice(context, parameter->value);
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
