#include "bitgrad/ops/batch_norm_statistics.h"

namespace bitgrad {

bool CheckBatchNorm(OpRecorder& op, const Var& x, const Var& gamma, const Var& beta, const Parameter& running_mean,
                    const Parameter& running_statistic, const BatchNormOptions& options) {
  const Shape shape = x.shape();
  const Shape vector({shape.cols()});
  if (shape.rank() < 1 || gamma.shape() != vector || beta.shape() != vector || running_mean.value.shape() != vector ||
      running_statistic.value.shape() != vector) {
    op.Fail("input ", shape.ToString(), ", gamma ", gamma.shape().ToString(), ", beta ", beta.shape().ToString(),
            " and running statistics ", running_mean.value.shape().ToString(), ", ",
            running_statistic.value.shape().ToString(), " do not match; they have to be [batch, n] and [n]");
    return false;
  }
  if (!(options.epsilon >= 0) || !(options.momentum >= 0) || options.momentum > 1) {
    op.Fail("epsilon ", options.epsilon, " and momentum ", options.momentum, " have to be >= 0 and in [0, 1]");
    return false;
  }
  if (options.unbiased && options.statistic != RunningStatistic::kVariance) {
    op.Fail("unbiased is for running statistics of the variance");
    return false;
  }
  if (options.arithmetic != BatchNormArithmetic::kExact && options.placement != EpsilonPlacement::kInsideRoot) {
    op.Fail("shifts need epsilon inside the root, 1 / sqrt(variance + epsilon)");
    return false;
  }
  return op.CheckTensor("running_mean", running_mean.value, vector) &&
         op.CheckTensor("running_statistic", running_statistic.value, vector);
}

BatchStatistics MeasureBatch(OpRecorder& op, const BatchNormOptions& options) {
  const auto x = op.value(0).matrix<float>();
  const Shape vector({x.cols});
  BatchStatistics batch{op.NewTensor(vector), op.NewTensor(vector), op.NewTensor(vector)};
  op.kernels().batch_norm_statistics(op.context(), x, options.epsilon, options.placement, options.arithmetic,
                                     batch.mean.mutable_data<float>(), batch.variance.mutable_data<float>(),
                                     batch.inv_std.mutable_data<float>());
  return batch;
}

void UpdateRunning(OpRecorder& op, const BatchStatistics& batch, int64_t rows, float momentum, Parameter& running_mean,
                   Parameter& running_statistic, const BatchNormOptions& options) {
  const int64_t n = batch.mean.num_elements();
  Tensor unbiased;
  if (options.unbiased) {
    const double count = static_cast<double>(rows);
    unbiased = op.NewTensor(batch.variance.shape());
    op.kernels().scale_f32(op.context(), static_cast<float>(count / (count - 1)), batch.variance.data<float>(),
                           /*accumulate=*/false, unbiased.mutable_data<float>(), n);
  }
  const Tensor& averaged = options.unbiased ? unbiased : batch.variance;
  op.kernels().batch_norm_update_running(op.context(), options.statistic, momentum, batch.mean.data<float>(),
                                         averaged.data<float>(), batch.inv_std.data<float>(),
                                         running_mean.value.mutable_data<float>(),
                                         running_statistic.value.mutable_data<float>(), n);
}

Tensor FactorOf(OpRecorder& op, const Tensor& factor, const BatchNormOptions& options) {
  if (options.arithmetic == BatchNormArithmetic::kExact) return factor.Alias();
  Tensor power = op.NewTensor(factor.shape());
  op.kernels().round_to_powers(op.context(), factor.data<float>(), power.mutable_data<float>(), factor.num_elements());
  return power;
}

}  // namespace bitgrad
