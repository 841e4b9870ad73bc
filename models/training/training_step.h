// TrainingStep: forward, loss, backward and update of a batch, over and over.
//
//   TrainingStep step(context, model, store.parameters(), *optimizer, [](const Var& logits, const Tensor& labels) {
//     return SquaredHinge(logits, labels);
//   });
//   for (const Batch& batch : loader.Epoch(epoch)) {
//     BITGRAD_RETURN_IF_ERROR(step.Enqueue(batch.images, batch.labels, learning_rate));
//     if (step.unfinished() > 1) BITGRAD_ASSIGN_OR_RETURN(const StepResult result, step.Finish());
//   }
//
// On the CPU Enqueue() has done the step when it returns. On a GPU it returns at once: the batch travels while the step
// before runs, and the host reads what a step has measured while the next one runs. After a few steps the whole of it,
// hundreds of kernels, is recorded (core/recorded_work.h) and from then on enqueued by one call. The numbers are the
// same as without.
//
// What must not change once a step has been recorded: the model's structure, anything that its Forward() decides on the
// host, and the batch's shape (batches of another shape run unrecorded).

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
  std::vector<WindowObservation> observations;
};

class TrainingStep {
 public:
  // A loss of [batch, classes] logits and int32 [batch] labels: one number.
  using Loss = absl::AnyInvocable<Var(const Var& logits, const Tensor& labels)>;

  // REQUIRES: all but the loss outlive the step; the parameters are on the context's device.
  TrainingStep(ExecContext& context, Model& model, absl::Span<Parameter* const> parameters, Optimizer& optimizer,
               Loss loss);
  ~TrainingStep();
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  // images [batch, features] float32 and labels [batch] int32 of the host, which have been read when it returns. Where
  // the loss or a gradient is not finite nothing is updated, then or in later steps, and Finish() says so. REQUIRES:
  // unfinished() < 2, and no Finish() has failed.
  absl::Status Enqueue(const Tensor& images, const Tensor& labels, double learning_rate);

  // Steps that were enqueued and whose results were not asked for.
  int unfinished() const { return unfinished_; }
  // What the earliest of them measured; the parameters' sign_flips and at_clip are then its too. OutOfRange where its
  // loss or a gradient was not finite; then the training cannot go on with this object. REQUIRES: unfinished() > 0.
  absl::StatusOr<StepResult> Finish();

  // Whether steps are recorded by now.
  bool recorded() const { return recorded_ != nullptr; }
  // The most that the context's pool has handed out when the first step came to its update; 0 before.
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

  // The batch on the device, and on a GPU the ways there.
  Tensor images_, labels_;
  std::unique_ptr<DeviceStream::Feed> image_feed_, label_feed_;
  int64_t classes_ = 0;  // of the logits, once known

  // What a step leaves for the host: [loss, to 8 bytes][errors][observations][the optimizer's report].
  std::unique_ptr<DeviceArray<int64_t>> results_;
  std::vector<WindowObservation> observed_;           // without numbers
  std::unique_ptr<DeviceStream::Readback> readback_;  // on a GPU
  std::deque<std::vector<int64_t>> host_results_;     // on the CPU
  int unfinished_ = 0;

  int eager_steps_ = 0;  // with the present batch's shape, that could have been recorded
  int failed_records_ = 0;
  DeviceArray<uint32_t> device_step_;
  std::unique_ptr<RecordedWork> recorded_;
  size_t peak_bytes_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_TRAINING_STEP_H_
