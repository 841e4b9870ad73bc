#include "bitgrad/sweep/check_trials.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe_phases.h"
#include "bitgrad/models/training/check_recipe.h"
#include "bitgrad/sweep/halving.h"

namespace bitgrad {
namespace {

absl::Status CheckHalving(const sweep::Sweep& sweep, const recipe::Recipe& recipe, const TrainingData& data) {
  if (data.validation() == nullptr) {
    return absl::InvalidArgumentError(
        "halving goes by validation, but nothing validates; set data.validation_examples");
  }
  int begun = 0;
  recipe::Recipe before = recipe;
  for (const int epochs : RoundsOf(sweep, recipe)) {
    recipe::Recipe now = recipe;
    now.set_epochs(epochs);
    if (begun > 0) BITGRAD_RETURN_IF_ERROR(CheckSamePhases(before, now, begun));
    before = now;
    begun = epochs;
  }
  return absl::OkStatus();
}

// What of a recipe the data depends on.
std::string DataKeyOf(const recipe::Recipe& recipe) {
  return absl::StrCat(recipe.data().SerializeAsString(), "|", recipe.batch_size(), "|", recipe.loss());
}

}  // namespace

absl::Status CheckTrials(const sweep::Sweep& sweep, absl::Span<const Trial> trials,
                         const TrainingDataOptions& options) {
  std::unique_ptr<TrainingData> data;
  std::string data_key;
  int checked = -1;
  for (const Trial& trial : trials) {
    // Another seed changes nothing here.
    if (trial.configuration == checked) continue;
    checked = trial.configuration;
    const auto check = [&]() -> absl::Status {
      BITGRAD_RETURN_IF_ERROR(CheckRecipeFields(trial.recipe));
      if (const std::string key = DataKeyOf(trial.recipe); data == nullptr || key != data_key) {
        data.reset();
        BITGRAD_ASSIGN_OR_RETURN(data, LoadTrainingData(trial.recipe, options));
        data_key = key;
      }
      if (sweep.has_halving()) BITGRAD_RETURN_IF_ERROR(CheckHalving(sweep, trial.recipe, *data));
      return CheckRecipeModels(trial.recipe, *data, options.threads);
    };
    if (const absl::Status status = check(); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat(trial.name, " (", absl::StrJoin(trial.assignments, " "),
                                                      "): ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
