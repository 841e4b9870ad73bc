// Channels that say nothing: those whose value is the same for all examples.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_CHANNEL_DIAGNOSTICS_H_
#define BITGRAD_MODELS_DIAGNOSTICS_CHANNEL_DIAGNOSTICS_H_

#include "absl/status/status.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/batch.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

// Runs the batch, which lies on the host, through the model as an evaluation does, and sets what the layers' channels
// are like: of what a quantizer gives to the layer's product, or an activation to the next layer, but for the network's
// input. A channel is one index of the last dimension. Where a layer has several such values the shares are those of
// all their channels together. Errors: those of the model's ops.
absl::Status DescribeChannels(ExecContext& context, Model& model, const Task& task, const Batch& batch,
                              diagnostics::Epoch& epoch);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_CHANNEL_DIAGNOSTICS_H_
