// Learner: how a model learns from batches. Gradient descent is one (gradient_descent.h), a search over discrete
// weights that never computes a gradient another (coordinate_descent.h). What is the same for all of them is the
// trainer's (trainer.h): which epochs and batches there are, progress, metrics, evaluation, checkpoints, resuming,
// interrupts.

#ifndef BITGRAD_MODELS_TRAINING_LEARNER_H_
#define BITGRAD_MODELS_TRAINING_LEARNER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/step_observer.h"
#include "bitgrad/models/training/step_result.h"

namespace bitgrad {

// How far a learner is within a batch that takes it long.
struct BatchProgress {
  int64_t done = 0, total = 0;  // trials of the batch
  double trials_per_second = 0;
  double loss = 0;
};

class Learner {
 public:
  virtual ~Learner() = default;

  // Learns from the batches, which are those of the epoch (counted from 0) from the first one that was not learned from
  // yet. Calls `finished` once for each of them, in order, when the model has learned from it. Asks `stop` after each
  // batch; where it says true, finishes what it has begun and returns Cancelled. A learner to which a batch is long may
  // ask within it, too: it then returns Cancelled with the batch unfinished, and its state says how far it is.
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

  // Whether there is nothing left to learn, so that training ends before its last epoch.
  virtual bool done() const { return false; }
  // The loss of the model as it is, over all training batches of the epoch, for a learner whose best model is the one
  // with the least; NaN: the one with the best validation counts. Asks `stop` as RunEpoch() does.
  virtual absl::StatusOr<double> SelectionLoss(int64_t /*epoch*/, absl::FunctionRef<bool()> /*stop*/) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  // What the lines of an epoch say of the learning, as Model::Report() does of the model.
  virtual std::vector<ModelValue> Report() const { return {}; }
  // Is told of the steps of gradient descent; null: nobody is. A learner of another kind has no such steps.
  virtual void set_step_observer(StepObserver* /*observer*/) {}
  // Is called from time to time within long batches.
  using BatchListener = std::function<void(const BatchProgress& progress)>;
  virtual void set_batch_listener(BatchListener /*listener*/) {}
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_LEARNER_H_
