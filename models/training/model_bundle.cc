#include "bitgrad/models/training/model_bundle.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/networks.h"

namespace bitgrad {

namespace {

// restored: null for initial values.
absl::StatusOr<ModelBundle> Make(const RecipePhase& phase, const ImageShape& image, int64_t classes,
                                 const Checkpoint* restored) {
  ModelBundle bundle;
  bundle.store = std::make_unique<ParameterStore>(phase.recipe.seed());
  if (restored != nullptr) {
    bundle.store->set_parameter_check(
        [restored](absl::string_view name, const Shape& shape) { return restored->CheckParameter(name, shape); });
  }
  BITGRAD_ASSIGN_OR_RETURN(bundle.model, MakeNetwork(phase.recipe.model(), image, classes, *bundle.store));
  bundle.store->set_parameter_check(nullptr);
  if (restored != nullptr) BITGRAD_RETURN_IF_ERROR(restored->RestoreParameters(*bundle.store));
  if (phase.hardened) {
    ExecContext host({.threads = 1});
    BITGRAD_RETURN_IF_ERROR(bundle.model->Harden(host));
  }
  return bundle;
}

absl::Status OtherParameters(absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat("a phase of the recipe has to go on with the parameters of the one before: ", what));
}

// The stores' parameters have the same names in the same order, and the same of them are learned.
absl::Status CheckSameParameters(const ParameterStore& before, const ParameterStore& now) {
  for (const Parameter* parameter : before.parameters()) {
    if (now.Find(parameter->name) == nullptr) {
      return OtherParameters(absl::StrCat("it has no '", parameter->name, "'"));
    }
  }
  for (size_t i = 0; i < now.parameters().size(); ++i) {
    const Parameter &old = *before.parameters()[i], &parameter = *now.parameters()[i];
    if (old.name != parameter.name) return OtherParameters(absl::StrCat("'", parameter.name, "' has another place"));
    if (old.trainable != parameter.trainable) {
      return OtherParameters(
          absl::StrCat("'", parameter.name, "' is ", old.trainable ? "no longer" : "now", " one that is learned"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelBundle> MakeModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes) {
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> phases, PhasesOf(recipe));
  return Make(phases[static_cast<size_t>(PhaseAt(phases, 0))], image, classes, nullptr);
}

int PhaseOf(const std::vector<RecipePhase>& phases, const checkpoint::Progress& progress) {
  const int epoch = progress.batches_done() > 0 ? progress.epoch() : progress.epoch() - 1;
  return PhaseAt(phases, std::max(0, epoch));
}

absl::StatusOr<ModelBundle> RestoreModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes,
                                         const Checkpoint& checkpoint) {
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> phases, PhasesOf(recipe));
  const int phase = PhaseOf(phases, checkpoint.header().progress());
  return Make(phases[static_cast<size_t>(phase)], image, classes, &checkpoint);
}

absl::StatusOr<ModelBundle> ContinueModel(const RecipePhase& phase, const ImageShape& image, int64_t classes,
                                          const ParameterStore& before) {
  ModelBundle bundle;
  bundle.store = std::make_unique<ParameterStore>(ParameterStore::Continues{before});
  BITGRAD_ASSIGN_OR_RETURN(bundle.model, MakeNetwork(phase.recipe.model(), image, classes, *bundle.store));
  BITGRAD_RETURN_IF_ERROR(CheckSameParameters(before, *bundle.store));
  return bundle;
}

absl::StatusOr<ModelBundle> LoadModel(const Checkpoint& checkpoint) {
  const checkpoint::Header& header = checkpoint.header();
  if (!header.has_recipe()) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint '", checkpoint.path(), "' has no recipe: build its model and restore the parameters"));
  }
  return RestoreModel(header.recipe(), ImageShapeOf(header), header.classes(), checkpoint);
}

absl::Status KeepOnlyRanges(ExecContext& context, const RecipePhase& phase, const ImageShape& image, int64_t classes,
                            ParameterStore& store) {
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle fresh, Make(phase, image, classes, nullptr));
  for (Parameter* parameter : store.parameters()) {
    if (parameter->overflows != nullptr) continue;
    const Parameter* const initial = fresh.store->Find(parameter->name);
    parameter->value = ToDevice(context, initial->value);
    parameter->is_set = initial->is_set;
  }
  return absl::OkStatus();
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
