#include "export/freeze_checkpoint.h"

#include "core/status_macros.h"
#include "export/freeze.h"
#include "models/training/model_bundle.h"

namespace bitgrad {

absl::StatusOr<PackedModelWriter> FreezeCheckpoint(ExecContext& context, const Checkpoint& checkpoint) {
  const checkpoint::Header& header = checkpoint.header();
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
  const Tensor example = Tensor::Zeros({1, header.features()});
  return Freeze(context, *bundle.model, example,
                {.name = header.recipe().name(), .data_set = header.recipe().data().name()});
}

}  // namespace bitgrad
