// Task: what a model is to learn. It turns a model, a tape and a batch into a loss, the number that training makes
// small, and into metrics, which say how good the model is.
//
//   const std::unique_ptr<Task> task = Classification({.features = 784, .classes = 10});
//   BITGRAD_RETURN_IF_ERROR(task->Check(batch));
//   const Objective objective = RecordObjective(*task, model, tape, ToDevice(context, batch));
//   BITGRAD_RETURN_IF_ERROR(tape.Backward(objective.scaled));
//
// The training step, the prediction of its memory and the report of a divergence all record their forward pass with
// RecordObjective(), and so compute the same.
//
// Metrics add up: of each there is a sum over a batch and the count that it is a mean over, so that the mean over many
// batches is the sum of the sums divided by the sum of the counts. Errors by examples are such a metric, a negative
// log-likelihood by tokens (perplexity is its exponential), a squared error by numbers.

#ifndef BITGRAD_MODELS_TRAINING_TASK_H_
#define BITGRAD_MODELS_TRAINING_TASK_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/batch.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/training/metric_display.h"

namespace bitgrad {

// A metric of one batch or of many.
struct MetricSum {
  absl::string_view name;
  double sum = 0;
  int64_t count = 0;

  // NaN where nothing was counted.
  double mean() const { return sum / static_cast<double>(count); }
};

// What a task leaves of a metric in the memory of the device: a whole number that was counted, or the mean of real
// numbers as losses compute it, which is multiplied with its count on the host.
union MetricCell {
  int64_t counted;
  float mean;
};

struct MetricInfo {
  const char* name;  // "errors"
  bool is_counted;   // which member of its MetricCell holds it
};

// What a forward pass has computed.
struct TaskOutput {
  Var predictions;
  Var loss;  // one number, the mean over the batch
};

class Task {
 public:
  virtual ~Task() = default;

  // The metrics, in the order in which Measure() leaves them. The first one says which model is the better one: less is
  // better.
  virtual absl::Span<const MetricInfo> metrics() const = 0;
  // A batch of as many examples as asked for, of zeros in the host's memory: for what depends on shapes alone.
  virtual Batch Blank(int64_t examples) const = 0;
  // Whether the batch, in the host's memory, is one that the task can work on: tensors that it has to have, their
  // types, labels that are classes. What is on a device is not checked again.
  virtual absl::Status Check(const Batch& batch) const = 0;

  // Records the model's forward pass and the loss. The batch has been checked and is on the device of the tape's
  // context. Errors stay with the tape.
  virtual TaskOutput Forward(Model& model, Tape& tape, const Batch& batch) const = 0;
  // Enqueues what writes the metrics of the batch, in their order, to cells in the memory of the device. REQUIRES: the
  // output is that of Forward() with this tape and batch.
  virtual absl::Status Measure(Tape& tape, const TaskOutput& output, const Batch& batch, MetricCell* cells) const = 0;
  // What the metrics are means over: the examples of the batch, its tokens, its numbers.
  virtual int64_t Count(const Batch& batch) const = 0;
  // How the mean of the first metric is shown.
  virtual MetricDisplay display() const { return MetricDisplay::kErrorPercent; }
  // Gradients are those of the loss times this number, which keeps them within the formats of low precision.
  virtual float loss_scale() const { return 1; }
};

// The metrics of a batch from a copy of their cells in the host's memory.
std::vector<MetricSum> MetricsOf(const Task& task, const MetricCell* cells, int64_t count);

// Adds the metrics of a further batch to `sums`, which is empty at first.
void AddMetrics(const std::vector<MetricSum>& batch, std::vector<MetricSum>& sums);

// What a training step makes small: the task's loss plus the model's penalty (Model::Penalty).
struct Objective {
  TaskOutput output;
  Var penalty;  // empty where the model has none; `total` is then the task's loss itself
  Var total;
  Var scaled;  // the total times Task::loss_scale(): what gradients are computed of
};

// Records the forward pass of a training step. Errors stay with the tape.
Objective RecordObjective(const Task& task, Model& model, Tape& tape, const Batch& batch);

// The batch with its tensors in the memory of the context's device.
Batch ToDevice(ExecContext& context, const Batch& batch);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_TASK_H_
