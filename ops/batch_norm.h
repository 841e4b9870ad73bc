// Batch normalization over features (Ioffe & Szegedy, arXiv 1502.03167). x [.., n] -> [.., n] float32.
//
//   training    y = (x - mean) inv_std gamma + beta with the batch's mean and biased variance; then
//               running = (1 - momentum) running + momentum batch
//   evaluation  the same expression with the running statistics
//
// inv_std = 1 / sqrt(var + epsilon), or 1 / (std + epsilon): EpsilonPlacement. What is averaged besides the
// mean differs between the papers' codes (RunningStatistic), and so do their test results:
//
//   BinaryConnect     kOutsideRoot, kStd, epsilon 1e-4, momentum 0.15 (MNIST), 0.1
//   BNN (Theano)      kInsideRoot, kInverseStd, epsilon 1e-4, momentum 0.1
//   PyTorch           kInsideRoot, kVariance, unbiased, epsilon 1e-5, momentum 0.1
//   Keras             kInsideRoot, kVariance, epsilon 1e-3, momentum 0.01 (which Keras calls 0.99)
//
// All of them normalize a training batch of N rows with the biased variance, sum((x - mean)^2) / N. PyTorch averages
// the unbiased one, sum((x - mean)^2) / (N - 1), into its running variance: `unbiased` does the same, for nets whose
// weights come from there or go there. With it evaluation divides by a slightly larger number than training did.
//
// BNN's shift-based batch norm (Hubara et al., arXiv 1602.02830) rounds one factor of each product to a power of two,
// AP2(v) = sign(v) 2^round(log2 |v|), so that the products are shifts:
//
//   c = x - mean;  var = mean(c AP2(c));  y = c AP2(inv_std) AP2(gamma) + beta
//
// The running statistic is not rounded; evaluation rounds the inv_std that it makes of it. The learned gamma is not
// rounded either, and gets the gradient of AP2(gamma) (straight-through). BatchNormArithmetic tells two variants apart,
// by their gradients: kShiftPaper has those of batch norm with the rounded factors, for the paper prints none, and
// kShiftTorch those of the authors' code, in which AP2(xhat) stands for xhat. The code averages the inverse deviation:
//
//   BNN (Torch)       kShiftTorch, kInsideRoot, kInverseStd, epsilon 1e-5, momentum 0.125
//
// Gradients: ops/kernels/batch_norm.h.
// Errors: shapes; running statistics that are not float32 on the context's device; an empty batch in training;
// epsilon < 0; momentum outside [0, 1]; `unbiased` with another statistic than kVariance, or, in training, with one
// row; shifts with kOutsideRoot.

#ifndef BITGRAD_OPS_BATCH_NORM_H_
#define BITGRAD_OPS_BATCH_NORM_H_

#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/var.h"
#include "bitgrad/ops/kernels/batch_norm.h"

namespace bitgrad {

struct BatchNormOptions {
  float epsilon = 1e-4f;
  float momentum = 0.1f;  // the weight of the new batch
  EpsilonPlacement placement = EpsilonPlacement::kInsideRoot;
  RunningStatistic statistic = RunningStatistic::kVariance;
  bool unbiased = false;  // the running variance is the unbiased one, as PyTorch's
  BatchNormArithmetic arithmetic = BatchNormArithmetic::kExact;
};

// `running_mean`, `running_statistic` [n]: updated in training, read in evaluation; they outlive the tape.
Var ApplyBatchNorm(const Var& x, const Var& gamma, const Var& beta, Parameter& running_mean,
                   Parameter& running_statistic, const BatchNormOptions& options = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPS_BATCH_NORM_H_
