// Moving averages of batch norm: only n numbers a step, so plain loops on one thread do.

#include <cmath>

#include "bitgrad/ops/cpu/functions.h"

namespace bitgrad::cpu {

void BatchNormUpdateRunning(ExecContext&, RunningStatistic kind, float momentum, const float* mean,
                            const float* variance, const float* inv_std, float* running_mean, float* running_statistic,
                            int64_t n) {
  const float keep = 1.0f - momentum;
  for (int64_t j = 0; j < n; ++j) {
    const float statistic = kind == RunningStatistic::kVariance ? variance[j]
                            : kind == RunningStatistic::kStd    ? std::sqrt(variance[j])
                                                                : inv_std[j];
    running_mean[j] = keep * running_mean[j] + momentum * mean[j];
    running_statistic[j] = keep * running_statistic[j] + momentum * statistic;
  }
}

void BatchNormRunningInverseStd(ExecContext&, RunningStatistic kind, float epsilon, EpsilonPlacement placement,
                                const float* running_statistic, float* inv_std, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const float r = running_statistic[j];
    inv_std[j] = kind == RunningStatistic::kVariance ? InverseStd(r, epsilon, placement)
                 : kind == RunningStatistic::kStd    ? InverseStd(r * r, epsilon, placement)
                                                     : r;
  }
}

}  // namespace bitgrad::cpu
