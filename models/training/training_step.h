// TrainingStep: trains a model on one batch after another: forward pass, loss, backward pass, update.
//
//   TrainingStep step(context, model, store.parameters(), *optimizer, [](const Var& logits, const Tensor& labels) {
//     return SquaredHinge(logits, labels);
//   });
//   for (const Batch& batch : loader.Epoch(epoch)) {
//     BITGRAD_RETURN_IF_ERROR(step.Enqueue(batch.images, batch.labels, learning_rate));
//     if (step.unfinished() > 1) BITGRAD_ASSIGN_OR_RETURN(const StepResult result, step.Finish());
//   }
//
// On the CPU the step is done when Enqueue() returns. On a GPU Enqueue() returns at once: a batch is copied to the
// device while the previous step runs, and the host reads a step's measurements while the next step runs. After a few
// steps a whole step, which is hundreds of kernels, is recorded (core/recorded_work.h); from then on one call enqueues
// all of it. Recorded and unrecorded steps give the same numbers.
//
// Once a step has been recorded, the model's structure and whatever its Forward() decides on the host must not change.
// Batches of another shape than the recorded step's run unrecorded.

#ifndef BITGRAD_MODELS_TRAINING_TRAINING_STEP_H_
#define BITGRAD_MODELS_TRAINING_TRAINING_STEP_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/device_array.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/recorded_work.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/optim/optimizer.h"

namespace bitgrad {

struct StepResult {
  float loss = 0;
  int64_t errors = 0;  // examples that the forward pass classified wrongly
  std::vector<CounterValue> observations;
};

class TrainingStep {
 public:
  // Computes one number, the loss, from logits [batch, classes] and labels [batch] of type int32.
  using Loss = absl::AnyInvocable<Var(const Var& logits, const Tensor& labels)>;

  // REQUIRES: context, model, parameters and optimizer outlive this object; the parameters are on the context's device.
  TrainingStep(ExecContext& context, Model& model, absl::Span<Parameter* const> parameters, Optimizer& optimizer,
               Loss loss);
  ~TrainingStep();
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  // Trains on images [batch, features] of type float32 and labels [batch] of type int32. They lie on the host and are
  // not used any more after the call. Where the loss or a gradient turns out not to be finite, neither this step nor a
  // later one updates anything, and Finish() reports it. Errors: those of the model's ops and of the loss; a model that
  // cannot learn from this batch (models/training/can_learn.h). REQUIRES: unfinished() < 2, and no Finish() has failed.
  absl::Status Enqueue(const Tensor& images, const Tensor& labels, double learning_rate);

  // How many steps were enqueued whose results Finish() has not returned yet.
  int unfinished() const { return unfinished_; }
  // Waits for the earliest unfinished step and returns what it measured. The parameters' sign_flips and at_clip are
  // then those of this step, too. OutOfRange where its loss or a gradient was not finite; training cannot go on with
  // this object then. REQUIRES: unfinished() > 0.
  absl::StatusOr<StepResult> Finish();

  // Whether a step has been recorded, so that the next one is enqueued by one call.
  bool recorded() const { return recorded_ != nullptr; }
  // The peak of the memory that the context's pool had handed out when the first step came to its update; 0 before.
  size_t peak_bytes() const { return peak_bytes_; }

 private:
  struct Forward;
  absl::Status SetBatch(const Tensor& images, const Tensor& labels);
  absl::Status RunEagerly(const Tensor& host_labels);
  absl::Status Record();
  absl::StatusOr<Forward> ForwardAndBackward(const Tensor& labels);
  absl::Status UpdateAndMeasure(const Forward& forward);
  std::vector<const void*> Addresses() const;

  ExecContext& context_;
  Model& model_;
  const std::vector<Parameter*> parameters_;
  Optimizer& optimizer_;
  Loss loss_;

  // The batch on the device, and on a GPU what copies the host's batches there.
  Tensor images_, labels_;
  std::unique_ptr<DeviceStream::Feed> image_feed_, label_feed_;
  int64_t classes_ = 0;  // columns of the logits; 0 before the first step

  // What a step leaves for the host: [loss, padded to 8 bytes][errors][observations][the optimizer's report].
  std::unique_ptr<DeviceArray<int64_t>> results_;
  std::vector<CounterValue> observed_;           // layers and totals; `inside` comes from results_
  std::unique_ptr<DeviceStream::Readback> readback_;  // on a GPU
  std::deque<std::vector<int64_t>> host_results_;     // on the CPU
  int unfinished_ = 0;

  int eager_steps_ = 0;     // consecutive steps with this batch shape that could have been recorded
  int failed_records_ = 0;  // recordings that were given up
  DeviceArray<uint32_t> device_step_;
  std::unique_ptr<RecordedWork> recorded_;
  size_t peak_bytes_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_TRAINING_STEP_H_
