// Losses over a batch: float32 logits [m, n], int32 labels [m] in [0, n). Sums are accumulated in double over fixed
// blocks. `loss`, `dloss` and `errors` point to the device's memory.

#ifndef BITGRAD_OPS_KERNELS_LOSSES_H_
#define BITGRAD_OPS_KERNELS_LOSSES_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

// What the softmax of a row of logits is made from once more. Two floats, so that a tensor [m, 2] can hold it.
struct SoftmaxRow {
  float max;
  float scale;
};

// With max_i = max_j logits[i, j] and total_i = sum_j Exponential(logits[i, j] - max_i)   (ops/kernels/exponential.h):
//   rows[i] = {max_i, 1 / total_i}
//   *loss = mean_i log(total_i) - (logits[i, labels[i]] - max_i)
// The probabilities themselves are not kept: for thousands of classes, making them again from the logits takes less
// time than writing and reading them.   rows [m]
using SoftmaxCrossEntropyForward = void(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels,
                                        SoftmaxRow* rows, float* loss);

// dlogits[i, j] = *dloss / m * (p[i, j] - 1{j = labels[i]}),   p[i, j] = Exponential(logits[i, j] - max_i) (1 /
// total_i)
using SoftmaxCrossEntropyBackward = void(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels,
                                         const SoftmaxRow* rows, const float* dloss, MatrixView<float> dlogits);

// With t[i, j] = +1 where j = labels[i], else -1:  *loss = scale * sum_ij max(0, 1 - t[i, j] logits[i, j])^2
using SquaredHingeForward = void(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels,
                                 float scale, float* loss);

// dlogits[i, j] = *dloss * scale * -2 t[i, j] max(0, 1 - t[i, j] logits[i, j])
using SquaredHingeBackward = void(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels,
                                  float scale, const float* dloss, MatrixView<float> dlogits);

// *loss = scale * sum (y - target)^2.   y, target [count]
using SquaredErrorForward = void(ExecContext& context, const float* y, const float* target, int64_t count, float scale,
                                 float* loss);

// dy = *dloss * scale * 2 (y - target)
using SquaredErrorBackward = void(ExecContext& context, const float* y, const float* target, int64_t count, float scale,
                                  const float* dloss, float* dy);

// *errors = the number of rows whose argmax (the first of equal maxima) is not the label. A row with a NaN is an error.
using CountErrors = void(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels, int64_t* errors);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_LOSSES_H_
