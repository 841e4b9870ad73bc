// The model of a checkpoint of images as a packed model computes it: from pixels in [-1, 1] where the recipe's
// preprocessing, if it has any, is "mean_std", which becomes part of the model; else from preprocessed images.

#ifndef BITGRAD_EXPORT_CHECKPOINT_MODEL_H_
#define BITGRAD_EXPORT_CHECKPOINT_MODEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

struct CheckpointModel {
  ModelBundle bundle;                   // on the context's device
  std::unique_ptr<Model> standardized;  // the bundle's with its standardization; null where it has none
  std::shared_ptr<const Preprocessing> preprocessing;
  bool takes_pixels = true;

  Model& model() const { return standardized != nullptr ? *standardized : *bundle.model; }
};

// REQUIRES: the checkpoint is of images.
absl::StatusOr<CheckpointModel> ModelOfCheckpoint(ExecContext& context, const Checkpoint& checkpoint);

// Copies what the checkpoint knows of its data.
void CopyData(const checkpoint::Header& from, packed::Header& to);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_CHECKPOINT_MODEL_H_
