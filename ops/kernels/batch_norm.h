// Batch normalization over the columns (features) of a [m, n] matrix, float32.
//
// Source: Ioffe & Szegedy, arXiv 1502.03167. The variants of the BNN family differ in where epsilon stands:
//   kInsideRoot    inv_std = 1 / sqrt(var + epsilon)       (the paper; BNN's Theano code)
//   kOutsideRoot   inv_std = 1 / (sqrt(var) + epsilon)     (BinaryConnect's code)
// var is the biased variance, mean((x - mean)^2).
//
// BNN's shift-based batch norm (Hubara et al., arXiv 1602.02830) rounds one factor of each product to a power of two,
// AP2(v) = sign(v) 2^round(log2 |v|), so that the product is a shift: BatchNormArithmetic.

#ifndef BITGRAD_OPS_KERNELS_BATCH_NORM_H_
#define BITGRAD_OPS_KERNELS_BATCH_NORM_H_

#include <cmath>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/quantizers/power_of_two.h"

namespace bitgrad {

enum class EpsilonPlacement : int { kInsideRoot = 1, kOutsideRoot = 2 };

// The statistic whose moving average training keeps; evaluation uses it in place of the batch's.
enum class RunningStatistic : int { kVariance = 1, kStd = 2, kInverseStd = 3 };

// With shifts, the kernels below get inv_std and gamma rounded to powers of two (RoundToPowers); the rest is
//   var    mean(c AP2(c)) with c = x - mean, in the place of mean(c^2)
//   xhat   in the gradients, kShiftTorch: AP2((x - mean) inv_std), as in the authors' Torch code
// The paper prints no gradients: kShiftPaper has those of batch norm with the rounded factors.
enum class BatchNormArithmetic : int { kExact = 1, kShiftPaper = 2, kShiftTorch = 3 };

constexpr float InverseStd(float variance, float epsilon, EpsilonPlacement placement) {
  return placement == EpsilonPlacement::kInsideRoot ? 1.0f / std::sqrt(variance + epsilon)
                                                    : 1.0f / (std::sqrt(variance) + epsilon);
}

// xhat of the gradients.
constexpr float NormalizedForGradient(float x, float mean, float inv_std, BatchNormArithmetic arithmetic) {
  const float xhat = (x - mean) * inv_std;
  return arithmetic == BatchNormArithmetic::kShiftTorch ? SignedNearestPower(xhat) : xhat;
}

// The one expression of normalization, shared by the graph, the runtime and the folding into thresholds. Each of its
// four roundings is monotone in x, so sign(NormalizedValue(x)) changes at most once as x grows.
constexpr float NormalizedValue(float x, float mean, float inv_std, float gamma, float beta) {
  return (x - mean) * inv_std * gamma + beta;
}

// mean[j] and variance[j] of column j, accumulated in double over fixed blocks, and inv_std[j] =
// InverseStd(variance[j]), which is not rounded to a power of two. x [m, n]; mean, variance, inv_std [n].
// REQUIRES: m > 0.
using BatchNormStatistics = void(ExecContext& context, ConstMatrixView<float> x, float epsilon,
                                 EpsilonPlacement placement, BatchNormArithmetic arithmetic, float* mean,
                                 float* variance, float* inv_std);

// With xhat = NormalizedForGradient(x), mean(...) over the batch, and
// kappa = 1 for kInsideRoot; for kOutsideRoot 1 / (sqrt(variance) inv_std), or 0 where the variance is 0:
//   dx     = gamma inv_std (dy - mean(dy) - kappa xhat mean(dy xhat))
//   dgamma = sum(dy xhat), dbeta = sum(dy)
// x, dy, dx [m, n]; all vectors [n]. dx may be dy.
using BatchNormTrainBackward = void(ExecContext& context, ConstMatrixView<float> x, ConstMatrixView<float> dy,
                                    const float* gamma, const float* mean, const float* variance, const float* inv_std,
                                    EpsilonPlacement placement, BatchNormArithmetic arithmetic, MatrixView<float> dx,
                                    float* dgamma, float* dbeta);

// Updates the moving averages with the batch's statistics; all arrays [n]:
//   running_mean      = (1 - momentum) running_mean + momentum mean
//   running_statistic = (1 - momentum) running_statistic + momentum {variance, sqrt(variance), inv_std}
using BatchNormUpdateRunning = void(ExecContext& context, RunningStatistic kind, float momentum, const float* mean,
                                    const float* variance, const float* inv_std, float* running_mean,
                                    float* running_statistic, int64_t n);

// inv_std for evaluation: InverseStd() of the variance that `running_statistic` stands for, or, for kInverseStd, the
// statistic itself.   both [n]
using BatchNormRunningInverseStd = void(ExecContext& context, RunningStatistic kind, float epsilon,
                                        EpsilonPlacement placement, const float* running_statistic, float* inv_std,
                                        int64_t n);

// y = NormalizedValue(x, mean, inv_std, gamma, beta) with given statistics.   x, y [m, n]; the vectors [n]; y may be x.
using BatchNormEval = void(ExecContext& context, ConstMatrixView<float> x, const float* mean, const float* inv_std,
                           const float* gamma, const float* beta, MatrixView<float> y);

// What BatchNormEval followed by PackSigns (bitpack.h) gives, without storing y: bits = y >= 0 and, where window.words
// is not null, window = |y| <= 1; NaN gives 0 in both.   x, bits, window [m, n]; the vectors [n]
using BatchNormSigns = void(ExecContext& context, ConstMatrixView<float> x, const float* mean, const float* inv_std,
                            const float* gamma, const float* beta, BitMatrixView bits, BitMatrixView window);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_BATCH_NORM_H_
