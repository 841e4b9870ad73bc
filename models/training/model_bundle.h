// A model with the parameters that it uses: what training builds, and evaluation and freezing load.

#ifndef BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_
#define BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "core/shape.h"
#include "models/model.h"
#include "models/scope.h"
#include "models/training/checkpoint.h"
#include "proto/recipe.pb.h"

namespace bitgrad {

struct ModelBundle {
  std::unique_ptr<ParameterStore> store;
  std::unique_ptr<Model> model;
};

// The recipe's model for images [height, width, channels], with initial values.
absl::StatusOr<ModelBundle> MakeModel(const recipe::Recipe& recipe, const Shape& image, int64_t classes);

// The checkpoint's model with the checkpoint's values.
absl::StatusOr<ModelBundle> LoadModel(const Checkpoint& checkpoint);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_MODEL_BUNDLE_H_
