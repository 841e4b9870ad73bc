// Classification: every image has one of several classes. Its metric is the number of images that are classified
// wrongly: those whose largest logit (the first of equal ones) is not that of the label.

#ifndef BITGRAD_MODELS_TRAINING_CLASSIFICATION_H_
#define BITGRAD_MODELS_TRAINING_CLASSIFICATION_H_

#include <cstdint>
#include <memory>

#include "bitgrad/models/training/task.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct ClassificationOptions {
  int64_t features = 0;  // numbers of an image
  int64_t classes = 0;   // the model gives a logit for each
  recipe::Loss loss = recipe::SQUARED_HINGE;
  float loss_scale = 1;  // Task::loss_scale()
};

// The name of the metric.
inline constexpr char kErrors[] = "errors";

// Batches have `images` [batch, features] float32 and `labels` [batch] int32 in [0, classes).
std::unique_ptr<Task> Classification(const ClassificationOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_CLASSIFICATION_H_
