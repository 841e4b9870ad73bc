#include "bitgrad/models/training/check_recipe.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/can_learn.h"
#include "bitgrad/models/training/coordinate_descent.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/norm_reestimation.h"
#include "bitgrad/models/training/recipe_optimizer.h"

namespace bitgrad {
namespace {

// Says that the error is of a later phase of the recipe: `index` counts phases, of which the first is the recipe
// itself.
absl::Status InPhase(size_t index, const absl::Status& error) {
  if (index == 0) return error;
  return absl::Status(error.code(), absl::StrCat(error.message(), " (in phase[", index - 1, "] of the recipe)"));
}

// Optimizer, schedule and data of the phases.
absl::Status CheckPhases(const std::vector<RecipePhase>& phases) {
  for (size_t i = 0; i < phases.size(); ++i) {
    if (phases[i].epochs() == 0) continue;
    ExecContext host({.threads = 1});
    absl::Status status = OptimizerOf(phases[i].recipe.optimizer(), host).status();
    if (status.ok()) status = ScheduleOf(phases[i]).status();
    if (status.ok()) status = MomentumOf(phases[i].recipe.optimizer()).status();
    if (status.ok()) status = ReestimateBatchesOf(phases[i].recipe.model()).status();
    if (status.ok() && i > 0) status = CheckDataFields(phases[i].recipe);
    if (!status.ok()) return InPhase(i, status);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Schedule> ScheduleOf(const RecipePhase& phase) {
  const recipe::Recipe& recipe = phase.recipe;
  const recipe::Schedule& schedule = recipe.schedule();
  ScheduleOptions options;
  if (!schedule.name().empty()) options.name = schedule.name();
  options.learning_rate = recipe.optimizer().learning_rate();
  options.final_learning_rate = schedule.final_learning_rate();
  if (schedule.has_step_factor()) options.step_factor = schedule.step_factor();
  options.step_epochs = schedule.step_epochs();
  if (schedule.has_until()) options.until = schedule.until();
  options.warmup_epochs = schedule.warmup_epochs();
  if (schedule.has_warmup_start_factor()) options.warmup_start_factor = schedule.warmup_start_factor();
  return MakeSchedule(options, phase.epochs());
}

absl::Status CheckRecipeFields(const recipe::Recipe& recipe) {
  BITGRAD_RETURN_IF_ERROR(ValidateRecipe(recipe));
  if (recipe.has_coordinate_descent()) {
    BITGRAD_RETURN_IF_ERROR(ReestimateBatchesOf(recipe.model()).status());
    BITGRAD_RETURN_IF_ERROR(CheckDataFields(recipe));
    return CheckCoordinateDescent(recipe);
  }
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> phases, PhasesOf(recipe));
  BITGRAD_RETURN_IF_ERROR(CheckPhases(phases));
  return CheckDataFields(recipe);
}

absl::Status CheckPlateaus(const std::vector<RecipePhase>& phases, const TrainingData& data) {
  if (data.validation() != nullptr) return absl::OkStatus();
  for (size_t i = 0; i < phases.size(); ++i) {
    if (phases[i].epochs() == 0 || phases[i].recipe.schedule().name() != "plateau") continue;
    return InPhase(i, absl::InvalidArgumentError("recipe: schedule.name is 'plateau', which goes by the validation of "
                                                 "each epoch, but nothing validates; set data.validation_examples"));
  }
  return absl::OkStatus();
}

absl::Status CheckPhaseModels(const recipe::Recipe& recipe, const std::vector<RecipePhase>& phases, size_t first,
                              const ParameterStore& store, const TrainingData& data, int threads) {
  ExecContext host({.threads = threads});
  const DataKind kind = data.kind();
  for (size_t i = first; i < phases.size(); ++i) {
    if (phases[i].epochs() == 0) continue;
    absl::StatusOr<ModelBundle> bundle = ContinueModel(phases[i], kind.image, kind.classes, store);
    if (!bundle.ok()) return InPhase(i, bundle.status());
    const absl::Span<Parameter* const> parameters = bundle->store->parameters();
    absl::Status status;
    if (!recipe.has_coordinate_descent()) {
      absl::StatusOr<std::unique_ptr<Optimizer>> optimizer = OptimizerOf(phases[i].recipe.optimizer(), host);
      status = optimizer.ok() ? (*optimizer)->CheckRules(parameters) : optimizer.status();
    }
    if (status.ok()) {
      status = CheckCanLearn(host, *bundle->model, *data.TaskOf(phases[i].recipe), parameters, recipe.batch_size());
    }
    if (!status.ok()) return InPhase(i, status);
  }
  return absl::OkStatus();
}

absl::Status CheckRecipeModels(const recipe::Recipe& recipe, const TrainingData& data, int threads) {
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> phases, PhasesOf(recipe));
  BITGRAD_RETURN_IF_ERROR(CheckPlateaus(phases, data));
  const DataKind kind = data.kind();
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, MakeModel(recipe, kind.image, kind.classes));
  const size_t first = static_cast<size_t>(PhaseAt(phases, 0));
  return CheckPhaseModels(recipe, phases, first, *bundle.store, data, threads);
}

}  // namespace bitgrad
