// Learner: how a model learns from batches. Gradient descent is one (gradient_descent.h); a search over discrete
// weights that never computes a gradient would be another. What is the same for all of them is the trainer's
// (trainer.h): which epochs and batches there are, progress, metrics, evaluation, checkpoints, resuming, interrupts.

#ifndef BITGRAD_MODELS_TRAINING_LEARNER_H_
#define BITGRAD_MODELS_TRAINING_LEARNER_H_

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/step_result.h"

namespace bitgrad {

class Learner {
 public:
  virtual ~Learner() = default;

  // Learns from the batches, which are those of the epoch (counted from 0) from the first one that was not learned from
  // yet. Calls `finished` once for each of them, in order, when the model has learned from it. Asks `stop` after each
  // batch; where it says true, finishes what it has begun and returns Cancelled.
  //
  // Other errors: OutOfRange where learning cannot go on because a number has become NaN or infinite, with the layer;
  // `finished` has then been called for the batches before. The error of the batches, of the model's ops.
  virtual absl::Status RunEpoch(int64_t epoch, EpochBatches& batches,
                                absl::FunctionRef<void(const StepResult& step)> finished,
                                absl::FunctionRef<bool()> stop) = 0;

  // What has to be kept, beside the model's parameters, to go on later with the same bits. Tensors are borrowed until
  // the next call of another function.
  virtual LearnerState state() const = 0;
  // Goes on from such a state, whose tensors are on the host or on the device. An error names what does not fit;
  // nothing was changed then.
  virtual absl::Status Restore(const LearnerState& state) = 0;

  // The validation metrics (less is better; NaN where there are no examples) of the epochs that are complete, from the
  // run's first one on: learning rates may depend on them. Called before each epoch; epochs that are not among them
  // have the rates that they would have if all went well.
  virtual void SetResults(absl::Span<const double> /*results*/) {}

  // The learning rate of a batch, or whatever comes nearest to it: for people.
  virtual double LearningRate(int64_t epoch, int64_t batch) const = 0;
  // The peak of the memory that the context's pool had handed out in the first step; 0 before.
  virtual size_t peak_bytes() const = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_LEARNER_H_
