// What `train` refuses of a recipe before anything is trained: what is wrong with one of its phases
// (models/recipe_phases.h) is found before the first one begins.
//
//   BITGRAD_RETURN_IF_ERROR(CheckRecipeFields(recipe));
//   BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<TrainingData> data, LoadTrainingData(recipe, options));
//   BITGRAD_RETURN_IF_ERROR(CheckRecipeModels(recipe, *data, threads));
//
// Errors name the field or the layer, and the phase where it is a later one.

#ifndef BITGRAD_MODELS_TRAINING_CHECK_RECIPE_H_
#define BITGRAD_MODELS_TRAINING_CHECK_RECIPE_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/models/recipe_phases.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/training_data.h"
#include "bitgrad/optim/schedule.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// The learning-rate schedule of a phase, which spreads over the phase's epochs. Errors are those of MakeSchedule().
absl::StatusOr<Schedule> ScheduleOf(const RecipePhase& phase);

// What can be known without the data: ValidateRecipe() (models/recipe.h), and optimizer, schedule, data fields and
// coordinate descent. A phase without epochs is passed by.
absl::Status CheckRecipeFields(const recipe::Recipe& recipe);

// A schedule that depends on validation has to have some.
absl::Status CheckPlateaus(const std::vector<RecipePhase>& phases, const TrainingData& data);

// That the models of the phases, from the one of index `first` on, have the parameters of `store`, whose values are on
// the host, and that they can learn.
absl::Status CheckPhaseModels(const recipe::Recipe& recipe, const std::vector<RecipePhase>& phases, size_t first,
                              const ParameterStore& store, const TrainingData& data, int threads);

// All that needs the data: CheckPlateaus(), and CheckPhaseModels() for a model with initial values. REQUIRES:
// CheckRecipeFields(recipe).ok().
absl::Status CheckRecipeModels(const recipe::Recipe& recipe, const TrainingData& data, int threads);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_CHECK_RECIPE_H_
