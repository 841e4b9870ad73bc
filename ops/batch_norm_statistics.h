// What batch norm in training and its re-estimation (batch_norm_estimation.h) share: the operands' checks, the batch's
// statistics, and their way into the running ones.

#ifndef BITGRAD_OPS_BATCH_NORM_STATISTICS_H_
#define BITGRAD_OPS_BATCH_NORM_STATISTICS_H_

#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

// Whether x, gamma and beta, the operands of `op`, fit the running statistics, and the options are in their ranges; the
// op has failed where not.
bool CheckBatchNorm(OpRecorder& op, const Var& x, const Var& gamma, const Var& beta, const Parameter& running_mean,
                    const Parameter& running_statistic, const BatchNormOptions& options);

// Of each column of a batch, all [n] float32: its mean, its biased variance, and 1 / std as `options` have it, which is
// not rounded to a power of two.
struct BatchStatistics {
  Tensor mean, variance, inv_std;
};

// Of operand 0 of `op`. REQUIRES: CheckBatchNorm(), and at least one row.
BatchStatistics MeasureBatch(OpRecorder& op, const BatchNormOptions& options);

// running = (1 - momentum) running + momentum statistic, of the mean and of the statistic that `options` name, the
// variance unbiased where they ask for it. `rows` is the batch's number of rows. REQUIRES: rows > 1 where unbiased.
void UpdateRunning(OpRecorder& op, const BatchStatistics& batch, int64_t rows, float momentum, Parameter& running_mean,
                   Parameter& running_statistic, const BatchNormOptions& options);

// What the formula multiplies by for `factor`, inv_std or gamma: that itself or, with shifts, AP2 of it.
Tensor FactorOf(OpRecorder& op, const Tensor& factor, const BatchNormOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_BATCH_NORM_STATISTICS_H_
