// Running statistics of batch norms, estimated anew before a model is evaluated.
//
// Training keeps moving averages of the batches' statistics. They lag behind the weights, and where a step flips signs,
// that is in the early epochs of a binary net, they describe a network that is gone: the built-in digits net had 22 %
// and 30 % of its validation examples wrong after two epochs in which training had 8 % and 2 % wrong.
//
// The estimate is a function of the weights and of the training set alone, so a resumed run, or one that was
// interrupted right before it, gets the same bits:
//
//   - The images are those of the first batches of the epoch that was just trained, in its order, augmented and
//     preprocessed as they were then (data/batches.h: a function of seed, epoch and example).
//   - The passes are evaluations but for batch norm: no dropout, no stochastic quantizer. They draw no random number
//     and leave the context's random step alone.
//
// The running statistics stay as estimated: they are what checkpoints hold, and what the next epoch's moving averages
// begin with. Training itself never reads them, so weights are the same with and without.

#ifndef BITGRAD_MODELS_TRAINING_NORM_REESTIMATION_H_
#define BITGRAD_MODELS_TRAINING_NORM_REESTIMATION_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// `norm.reestimate_batches` of the recipe's network. InvalidArgument, naming the field, where it is negative.
absl::StatusOr<int64_t> ReestimateBatchesOf(const recipe::Model& model);

// Makes the running statistics of every batch norm of the model the averages over the first `batches` batches of the
// loader's epoch, or over all where it has fewer. Does nothing where `batches` is 0. The model's parameters, all in
// `store`, are on the context's device. `stop` is asked before each batch; where it says true the result is Cancelled,
// and the statistics are those of the batches until then. Other errors are those of the model's ops and of reading
// images.
absl::Status ReestimateNorms(
    ExecContext& context, Model& model, ParameterStore& store, const BatchLoader& loader, int64_t epoch,
    int64_t batches, absl::FunctionRef<bool()> stop = [] { return false; });

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_NORM_REESTIMATION_H_
