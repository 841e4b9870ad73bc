// Freezes the model of a checkpoint.
//
// A recipe whose only preprocessing is "mean_std" gives a packed model that takes pixels: the standardization becomes
// part of it. With other preprocessing the packed model takes floats, and whoever runs it has to preprocess the images
// (data/preprocessing.h) by the statistics that the checkpoint holds.
//
// The packed model of a model of text has its vocabulary.

#ifndef BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_
#define BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/runtime/packed_model_writer.h"

namespace bitgrad {

// The recorded evaluation runs on the context's device; the packed model does not depend on which that is.
// `options` says which passes run; its name, data set and pixels are those of the checkpoint.
absl::StatusOr<PackedModelWriter> FreezeCheckpoint(ExecContext& context, const Checkpoint& checkpoint,
                                                   FreezeOptions options = {});

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_
