// Freezes the model of a checkpoint.

#ifndef BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_
#define BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_

#include "absl/status/statusor.h"
#include "core/exec_context.h"
#include "models/training/checkpoint.h"
#include "runtime/packed_model_writer.h"

namespace bitgrad {

absl::StatusOr<PackedModelWriter> FreezeCheckpoint(ExecContext& context, const Checkpoint& checkpoint);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FREEZE_CHECKPOINT_H_
