// Batch normalization while its running statistics are estimated anew: an evaluation in which each batch is normalized
// by its own statistics, as in training, and these are averaged into the running ones.
//
// Training's moving average lags behind the weights. With binary weights that matters: an optimizer step flips signs,
// and the means and variances that the average still holds belong to another network. So before an evaluation the
// statistics may be estimated from some batches with the weights as they are then ("precise batch norm": Wu & Johnson,
// arXiv 2105.07576, section 3). With B_k the statistics of the k-th batch (mean, and variance, standard deviation or
// its inverse: RunningStatistic), after K batches
//
//   running = (B_1 + ... + B_K) / K        computed as running = (1 - 1/k) running + (1/k) B_k for k = 1 .. K
//
// models/training/norm_reestimation.h does it for all batch norms of a model.

#ifndef BITGRAD_OPS_BATCH_NORM_ESTIMATION_H_
#define BITGRAD_OPS_BATCH_NORM_ESTIMATION_H_

#include <cstdint>

#include "bitgrad/ops/batch_norm.h"

namespace bitgrad {

// x [.., n] -> [.., n] float32, normalized by the batch's statistics, which become the k-th of the running averages;
// for k = 1 what these held before is forgotten. x is of an evaluation tape; the other arguments are those of
// ApplyBatchNorm(). The running values are written in place. Errors: k < 1; shapes; an empty batch; epsilon < 0; a
// training tape.
Var ApplyBatchNormEstimating(const Var& x, const Var& gamma, const Var& beta, Parameter& running_mean,
                             Parameter& running_statistic, int64_t k, const BatchNormOptions& options = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPS_BATCH_NORM_ESTIMATION_H_
