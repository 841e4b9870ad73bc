// ModelBundle: a model with the parameters that it uses. Training makes one from a recipe; evaluation and freezing load
// one from a checkpoint, and with it the preprocessing of images that belongs to the model.

#ifndef BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_
#define BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct ModelBundle {
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<Model> model;
};

// The recipe's model with initial values, on the host.
absl::StatusOr<ModelBundle> MakeModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes);

// The recipe's model with the checkpoint's values, on the host. FailedPrecondition where the checkpoint is of another
// model; that is found before memory is taken for a parameter that the checkpoint does not have.
absl::StatusOr<ModelBundle> RestoreModel(const recipe::Recipe& recipe, const ImageShape& image, int64_t classes,
                                         const Checkpoint& checkpoint);

// The model of the checkpoint's own recipe with the checkpoint's values, on the host. FailedPrecondition where it has
// no recipe.
absl::StatusOr<ModelBundle> LoadModel(const Checkpoint& checkpoint);

// Brings the parameters' values to the context's device, where they have to be before anything computes with them.
void MoveToDevice(ExecContext& context, ParameterStore& store);

// The checkpoint's preprocessing, as it was fitted when training began; empty if the recipe has none.
absl::StatusOr<std::shared_ptr<const Preprocessing>> LoadPreprocessing(const Checkpoint& checkpoint);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_
