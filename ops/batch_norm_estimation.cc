#include "bitgrad/ops/batch_norm_estimation.h"

#include <utility>

#include "bitgrad/ops/batch_norm_statistics.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var ApplyBatchNormEstimating(const Var& x, const Var& gamma, const Var& beta, Parameter& running_mean,
                             Parameter& running_statistic, int64_t k, const BatchNormOptions& options) {
  OpRecorder op("batch_norm", {x, gamma, beta});
  if (!op.ok()) return op.Failed();
  if (op.training()) return op.Fail("statistics are estimated by an evaluation, not by a training step");
  if (k < 1) return op.Fail("batch number ", k, " is below 1");
  if (!CheckBatchNorm(op, x, gamma, beta, running_mean, running_statistic, options)) return op.Failed();
  const Shape shape = x.shape();
  if (shape.rows() == 0) return op.Fail("the batch is empty");
  if (options.unbiased && shape.rows() == 1) return op.Fail("one row has no unbiased variance");

  const BatchStatistics batch = MeasureBatch(op, options);
  UpdateRunning(op, batch, shape.rows(), 1.0f / static_cast<float>(k), running_mean, running_statistic, options);
  const Tensor inv_std = FactorOf(op, batch.inv_std, options), factor = FactorOf(op, op.value(1), options);
  Tensor y = op.NewTensor(shape);
  op.kernels().batch_norm_eval(op.context(), op.value(0).matrix<float>(), batch.mean.data<float>(),
                               inv_std.data<float>(), factor.data<float>(), op.value(2).data<float>(),
                               y.mutable_matrix<float>());
  return op.Record(std::move(y), {}, nullptr);
}

}  // namespace bitgrad
