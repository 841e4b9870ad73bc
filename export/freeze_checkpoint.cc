#include "bitgrad/export/freeze_checkpoint.h"

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/checkpoint_model.h"
#include "bitgrad/models/training/model_bundle.h"

namespace bitgrad {

absl::StatusOr<PackedModelWriter> FreezeCheckpoint(ExecContext& context, const Checkpoint& checkpoint,
                                                   FreezeOptions options) {
  const checkpoint::Header& header = checkpoint.header();
  options.name = header.recipe().name();
  options.data_set = header.recipe().data().name();
  if (header.text() != checkpoint::NO_TEXT) {
    BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
    MoveToDevice(context, *bundle.store);
    // A few streams, so that a constant with a row for each of them is not taken for one without.
    const Tensor tokens = Tensor::Zeros({3}, DType::kInt32);
    BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, Freeze(context, *bundle.model, tokens, options));
    writer.header().set_text(header.text() == checkpoint::WORDS ? packed::Header::WORDS : packed::Header::CHARACTERS);
    CopyData(header, writer.header());
    return writer;
  }
  BITGRAD_ASSIGN_OR_RETURN(const CheckpointModel made, ModelOfCheckpoint(context, checkpoint));
  options.pixels = made.takes_pixels;
  const Tensor example = Tensor::Zeros({1, header.features()});
  BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, Freeze(context, made.model(), example, options));
  CopyData(header, writer.header());
  return writer;
}

}  // namespace bitgrad
