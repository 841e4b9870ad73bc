#include "bitgrad/models/training/evaluate.h"

#include <limits>
#include <memory>
#include <utility>

#include "bitgrad/core/device_array.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

absl::StatusOr<Tensor> Logits(ExecContext& context, Model& model, const Tensor& images) {
  Tape tape(context, Mode::kEval);
  const Var logits = model.Forward(tape.Input(ToDevice(context, images)));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor* value, tape.Value(logits));
  return value->Alias();
}

absl::StatusOr<int64_t> CountWrong(ExecContext& context, const Tensor& logits, const Tensor& labels) {
  if (logits.shape().rank() != 2 || labels.shape() != Shape({logits.shape().dim(0)})) {
    return absl::InvalidArgumentError(absl::StrCat("count errors: logits ", logits.shape().ToString(), " and labels ",
                                                   labels.shape().ToString(), " do not match"));
  }
  DeviceArray<int64_t> errors(context, 1);
  KernelsFor(context.device())
      .count_errors(context, logits.matrix<float>(), ToDevice(context, labels).data<int32_t>(), errors.data());
  const int64_t count = errors.Download()[0];
  BITGRAD_RETURN_IF_ERROR(context.status());
  return count;
}

absl::StatusOr<std::vector<MetricSum>> EvaluateMetrics(ExecContext& context, Model& model, const Task& task,
                                                       const BatchLoader& loader, absl::FunctionRef<bool()> stop,
                                                       const EvaluationListener& listener) {
  std::vector<MetricSum> sums;
  DeviceArray<MetricCell> cells(context, static_cast<int64_t>(task.metrics().size()));
  StateStore states(context);  // zero at the beginning
  EpochBatches batches = loader.Epoch(0);
  for (const Batch& batch : batches) {
    if (stop()) return absl::CancelledError("the evaluation was stopped");
    BITGRAD_RETURN_IF_ERROR(task.Check(batch));
    const Batch device_batch = ToDevice(context, batch);
    Tape tape(context, Mode::kEval);
    tape.set_states(&states);
    const TaskOutput output = task.Forward(model, tape, device_batch);
    BITGRAD_RETURN_IF_ERROR(tape.status());
    BITGRAD_RETURN_IF_ERROR(task.Measure(tape, output, device_batch, cells.data()));
    const std::vector<MetricCell> measured = cells.Download();
    BITGRAD_RETURN_IF_ERROR(states.Commit());
    if (listener != nullptr) listener(batch, tape, output);
    AddMetrics(MetricsOf(task, measured.data(), task.Count(batch)), sums);
  }
  BITGRAD_RETURN_IF_ERROR(batches.status());
  return sums;
}

absl::StatusOr<double> ErrorRate(ExecContext& context, Model& model, const Dataset& dataset, const ExampleRange& range,
                                 std::shared_ptr<const Preprocessing> preprocessing, absl::FunctionRef<bool()> stop) {
  if (range.size() == 0) return std::numeric_limits<double>::quiet_NaN();
  BITGRAD_ASSIGN_OR_RETURN(
      const BatchLoader loader,
      BatchLoader::Create(dataset, range, {.batch_size = kEvaluationBatch, .preprocessing = std::move(preprocessing)}));
  const std::unique_ptr<Task> task = Classification({.features = dataset.features(), .classes = dataset.num_classes});
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<MetricSum> metrics, EvaluateMetrics(context, model, *task, loader, stop));
  return metrics[0].mean();
}

}  // namespace bitgrad
