#include "bitgrad/ops/batch_norm_estimation.h"

#include <utility>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var ApplyBatchNormEstimating(const Var& x, const Var& gamma, const Var& beta, Parameter& running_mean,
                             Parameter& running_statistic, int64_t k, const BatchNormOptions& options) {
  BITGRAD_CHECK(k >= 1);
  OpRecorder op("batch_norm", {x, gamma, beta});
  if (!op.ok()) return op.Failed();
  if (op.training()) return op.Fail("statistics are estimated by an evaluation, not by a training step");
  const Shape shape = x.shape();
  const Shape vector({shape.cols()});
  if (shape.rank() < 1 || gamma.shape() != vector || beta.shape() != vector || running_mean.value.shape() != vector ||
      running_statistic.value.shape() != vector) {
    return op.Fail("input ", shape.ToString(), ", gamma ", gamma.shape().ToString(), ", beta ", beta.shape().ToString(),
                   " and running statistics ", running_mean.value.shape().ToString(), ", ",
                   running_statistic.value.shape().ToString(), " do not match; they have to be [batch, n] and [n]");
  }
  if (!(options.epsilon >= 0)) return op.Fail("epsilon ", options.epsilon, " has to be >= 0");
  if (shape.rows() == 0) return op.Fail("the batch is empty");

  const int64_t n = shape.cols();
  Tensor mean = op.NewTensor(vector), variance = op.NewTensor(vector), inv_std = op.NewTensor(vector);
  op.kernels().batch_norm_statistics(op.context(), op.value(0).matrix<float>(), options.epsilon, options.placement,
                                     mean.mutable_data<float>(), variance.mutable_data<float>(),
                                     inv_std.mutable_data<float>());
  op.kernels().batch_norm_update_running(op.context(), options.statistic, 1.0f / static_cast<float>(k),
                                         mean.data<float>(), variance.data<float>(), inv_std.data<float>(),
                                         running_mean.value.mutable_data<float>(),
                                         running_statistic.value.mutable_data<float>(), n);
  Tensor y = op.NewTensor(shape);
  op.kernels().batch_norm_eval(op.context(), op.value(0).matrix<float>(), mean.data<float>(), inv_std.data<float>(),
                               op.value(1).data<float>(), op.value(2).data<float>(), y.mutable_matrix<float>());
  return op.Record(std::move(y), {}, nullptr);
}

}  // namespace bitgrad
