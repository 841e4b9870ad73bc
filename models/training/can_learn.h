// Nets that cannot learn, whatever the data: they are refused before they train.

#ifndef BITGRAD_MODELS_TRAINING_CAN_LEARN_H_
#define BITGRAD_MODELS_TRAINING_CAN_LEARN_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/training/task.h"

namespace bitgrad {

// InvalidArgument where none of the parameters is trainable.
absl::Status CheckTrainable(absl::Span<Parameter* const> parameters);

// InvalidArgument, with the layer, where a batch norm on the tape has one value of each feature in a batch of
// `batch_size` examples: the value is then its own mean, and the output is beta for every input. Batches of one example
// do that behind a dense layer. `forward` holds a forward pass of `recorded` examples, in training or evaluation.
absl::Status CheckBatchNorms(const Tape& forward, int64_t recorded, int64_t batch_size);

// Both, before anything is trained: by an evaluation of the model on one blank example of the task. Errors are also
// those of the model's ops. REQUIRES: the parameters' values are on the context's device.
absl::Status CheckCanLearn(ExecContext& context, Model& model, const Task& task,
                           absl::Span<Parameter* const> parameters, int64_t batch_size);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_CAN_LEARN_H_
