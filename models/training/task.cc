#include "bitgrad/models/training/task.h"

#include "bitgrad/core/check.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

std::vector<MetricSum> MetricsOf(const Task& task, const MetricCell* cells, int64_t count) {
  std::vector<MetricSum> sums;
  for (const MetricInfo& metric : task.metrics()) {
    const MetricCell& cell = cells[sums.size()];
    const double sum =
        metric.is_counted ? static_cast<double>(cell.counted) : double{cell.mean} * static_cast<double>(count);
    sums.push_back({metric.name, sum, count});
  }
  return sums;
}

void AddMetrics(const std::vector<MetricSum>& batch, std::vector<MetricSum>& sums) {
  if (sums.empty()) {
    sums = batch;
    return;
  }
  BITGRAD_CHECK(sums.size() == batch.size());
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i].sum += batch[i].sum;
    sums[i].count += batch[i].count;
  }
}

Objective RecordObjective(const Task& task, Model& model, Tape& tape, const Batch& batch) {
  Objective objective;
  objective.output = task.Forward(model, tape, batch);
  objective.penalty = model.Penalty(tape);
  const bool has_penalty = objective.penalty.tape() != nullptr;
  objective.total = has_penalty ? Add(objective.output.loss, objective.penalty) : objective.output.loss;
  objective.scaled = objective.total;
  if (const float scale = task.loss_scale(); scale != 1) {
    ExecContext& context = tape.context();
    Tensor factor(Shape(), DType::kFloat32, context.allocator());
    KernelsFor(context.device()).fill_f32(context, scale, factor.mutable_data<float>(), 1);
    objective.scaled = Mul(objective.total, tape.Input(factor));
  }
  return objective;
}

Batch ToDevice(ExecContext& context, const Batch& batch) {
  Batch result;
  for (const BatchField& field : kBatchFields) {
    const Tensor& tensor = batch.*field.tensor;
    if (!tensor.is_null()) result.*field.tensor = ToDevice(context, tensor);
  }
  result.index = batch.index;
  return result;
}

}  // namespace bitgrad
