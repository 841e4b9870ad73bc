// Freezes the model of a checkpoint.
//
// Where the recipe preprocesses images with "mean_std" alone, that becomes part of the packed model, which takes
// pixels. With other preprocessing it takes floats: images as data/preprocessing.h leaves them, by what the checkpoint
// holds.

#ifndef BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_
#define BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/runtime/packed_model_writer.h"

namespace bitgrad {

// The recorded evaluation runs on the context's device; the packed model does not depend on which that is.
absl::StatusOr<PackedModelWriter> FreezeCheckpoint(ExecContext& context, const Checkpoint& checkpoint);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_
