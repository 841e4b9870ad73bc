// TrainingStep: trains a model on one batch after another: forward pass, loss, backward pass, update.
//
//   const std::unique_ptr<Task> task = Classification({.features = 784, .classes = 10});
//   TrainingStep step(context, model, *task, store.parameters(), *optimizer);
//   for (const Batch& batch : loader.Epoch(epoch)) {
//     BITGRAD_RETURN_IF_ERROR(step.Enqueue(batch, learning_rate));
//     if (step.unfinished() > 1) BITGRAD_ASSIGN_OR_RETURN(const StepResult result, step.Finish());
//   }
//
// On the CPU the step is done when Enqueue() returns. On a GPU Enqueue() returns at once: a batch is copied to the
// device while the previous step runs, and the host reads a step's measurements while the next step runs. After a few
// steps a whole step, which is hundreds of kernels, is recorded (core/recorded_work.h); from then on one call enqueues
// all of it. Recorded and unrecorded steps give the same numbers.
//
// Once a step has been recorded, the model's structure and whatever its Forward() and Penalty() decide on the host must
// not change; numbers that change from step to step are parameters (models/scheduled_scalar.h). Batches of another
// shape than the recorded step's run unrecorded.
//
// What a recurrent model carries from batch to batch lies in states() (graph/state_store.h), and is zero again where a
// batch is the first one of its epoch: its index is 0.

#ifndef BITGRAD_MODELS_TRAINING_TRAINING_STEP_H_
#define BITGRAD_MODELS_TRAINING_TRAINING_STEP_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/device_array.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/recorded_work.h"
#include "bitgrad/data/batch.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/training/gradient_reducer.h"
#include "bitgrad/models/training/step_observer.h"
#include "bitgrad/models/training/step_result.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/optim/optimizer.h"

namespace bitgrad {

class TrainingStep {
 public:
  // Gradients go through `reducer`, if there is one, between the backward pass and the update. REQUIRES: all that is
  // given outlives this object; the parameters are on the context's device.
  TrainingStep(ExecContext& context, Model& model, const Task& task, absl::Span<Parameter* const> parameters,
               Optimizer& optimizer, GradientReducer* reducer = nullptr);
  ~TrainingStep();
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  // Trains on the batch, which lies on the host and is not used any more after the call. Where the loss or a gradient
  // turns out not to be finite, neither this step nor a later one updates anything, and Finish() reports it. Errors:
  // those of the task, of the model's ops and of the loss; a model that cannot learn from this batch
  // (models/training/can_learn.h). REQUIRES: unfinished() < 2, and no Finish() has failed.
  absl::Status Enqueue(const Batch& batch, double learning_rate);

  // Is told of the steps that follow, as long as they run op by op; null: nobody is. It outlives this object.
  void set_observer(StepObserver* observer) { observer_ = observer; }

  // How many steps were enqueued whose results Finish() has not returned yet.
  int unfinished() const { return static_cast<int>(begun_.size()); }
  // Waits for the earliest unfinished step and returns what it measured. The parameters' sign_flips and at_clip are
  // then those of this step, too. OutOfRange where its loss or a gradient was not finite; training cannot go on with
  // this object then. REQUIRES: unfinished() > 0.
  absl::StatusOr<StepResult> Finish();
  // The random step (ExecContext::step()) of the step that Finish() was called for last, whatever it returned: with it
  // the forward pass can be run again with the same random numbers.
  uint32_t finished_random_step() const { return finished_random_step_; }

  // What the next step reads, unless it is the first one of an epoch.
  StateStore& states() { return states_; }
  const StateStore& states() const { return states_; }

  // Whether a step has been recorded, so that the next one is enqueued by one call.
  bool recorded() const { return recorded_ != nullptr; }
  // The peak of the memory that the context's pool had handed out when the first step came to its update; 0 before.
  size_t peak_bytes() const { return peak_bytes_; }

 private:
  struct Forward;
  absl::Status SetBatch(const Batch& batch);
  absl::Status RunEagerly();
  absl::Status Record();
  absl::StatusOr<Forward> ForwardAndBackward(StepObserver* observer);
  absl::Status UpdateAndMeasure(const Forward& forward, StepObserver* observer);
  std::vector<const void*> Addresses() const;

  ExecContext& context_;
  Model& model_;
  const Task& task_;
  const std::vector<Parameter*> parameters_;
  Optimizer& optimizer_;
  GradientReducer* const reducer_;
  StepObserver* observer_ = nullptr;

  StateStore states_;

  // The batch on the device, and on a GPU what copies the host's batches there, one for each of its tensors.
  Batch batch_;
  std::vector<std::unique_ptr<DeviceStream::Feed>> feeds_;

  // What a step leaves for the host.
  std::unique_ptr<StepBlock> block_;
  bool has_penalty_ = false;
  std::vector<CounterValue> counters_;                // of the tape; `count` comes from the block
  std::unique_ptr<DeviceStream::Readback> readback_;  // on a GPU
  std::deque<std::vector<char>> host_blocks_;         // on the CPU
  // Of the steps that are not finished: what is known of them on the host.
  struct Begun {
    int64_t examples;
    int64_t count;  // Task::Count()
    uint32_t random_step;
  };
  std::deque<Begun> begun_;
  uint32_t finished_random_step_ = 0;

  int eager_steps_ = 0;     // consecutive steps with these shapes that could have been recorded
  int failed_records_ = 0;  // recordings that were given up
  DeviceArray<uint32_t> device_step_;
  std::unique_ptr<RecordedWork> recorded_;
  size_t peak_bytes_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_TRAINING_STEP_H_
