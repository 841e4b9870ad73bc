// Moving averages of batch norm: only n numbers a step.

#include <cmath>
#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void BatchNormUpdateRunning(ExecContext& context, RunningStatistic kind, float momentum, const float* mean,
                            const float* variance, const float* inv_std, float* running_mean, float* running_statistic,
                            int64_t n) {
  const float keep = 1.0f - momentum;
  ForElements(context, "batch_norm_update_running", n, [=] __device__(int64_t j) {
    const float statistic = kind == RunningStatistic::kVariance ? variance[j]
                            : kind == RunningStatistic::kStd    ? std::sqrt(variance[j])
                                                                : inv_std[j];
    running_mean[j] = keep * running_mean[j] + momentum * mean[j];
    running_statistic[j] = keep * running_statistic[j] + momentum * statistic;
  });
}

void BatchNormRunningInverseStd(ExecContext& context, RunningStatistic kind, float epsilon, EpsilonPlacement placement,
                                const float* running_statistic, float* inv_std, int64_t n) {
  ForElements(context, "batch_norm_running_inverse_std", n, [=] __device__(int64_t j) {
    const float r = running_statistic[j];
    inv_std[j] = kind == RunningStatistic::kVariance ? InverseStd(r, epsilon, placement)
                 : kind == RunningStatistic::kStd    ? InverseStd(r * r, epsilon, placement)
                                                     : r;
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
