// A model together with its parameters, and the preprocessing of its images. Training builds them from a recipe;
// evaluation and freezing load them from a checkpoint.

#ifndef BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_
#define BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/recipe_phases.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct ModelBundle {
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<Model> model;
};

// The recipe's model with initial values, on the host, as its first epoch trains it (models/recipe_phases.h).
absl::StatusOr<ModelBundle> MakeModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes);

// The index of the recipe's phase that a run was in when it stood here: that of the batch it did last.
int PhaseOf(const std::vector<RecipePhase>& phases, const checkpoint::Progress& progress);

// The recipe's model with the checkpoint's values, on the host, as the phase that the checkpoint was written in trains
// it. FailedPrecondition where the checkpoint is of another model; that is found before memory is taken for a parameter
// that the checkpoint does not have.
absl::StatusOr<ModelBundle> RestoreModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes,
                                         const Checkpoint& checkpoint);

// The model of the checkpoint's own recipe with the checkpoint's values, on the host. FailedPrecondition where it has
// no recipe.
absl::StatusOr<ModelBundle> LoadModel(const Checkpoint& checkpoint);

// The model of another phase with the values of the parameters before, which it takes over where they are. It is not
// hardened yet. FailedPrecondition where its parameters are not the same.
absl::StatusOr<ModelBundle> ContinueModel(const RecipePhase& phase, const ImageShape& image, int64_t classes,
                                          const ParameterStore& before);

// Gives the parameters their initial values of the phase, but for the ranges of number formats (Parameter::overflows),
// which keep theirs; what was counted for them is 0 again. The store is on the context's device.
absl::Status KeepOnlyRanges(ExecContext& context, const RecipePhase& phase, const ImageShape& image, int64_t classes,
                            ParameterStore& store);

// Moves the parameters' values to the context's device. They have to be there before anything computes with them.
void MoveToDevice(ExecContext& context, ParameterStore& store);

// The checkpoint's preprocessing with what it learned from the training images when training began. It does nothing if
// the recipe has none.
absl::StatusOr<std::shared_ptr<const Preprocessing>> LoadPreprocessing(const Checkpoint& checkpoint);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_
