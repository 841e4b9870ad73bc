// Sums of float32 values, accumulated in double over fixed blocks: the same bits at any number of threads.

#ifndef BITGRAD_OPS_KERNELS_REDUCE_H_
#define BITGRAD_OPS_KERNELS_REDUCE_H_

#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

// y[j] = sum_i x[i, j]; where `accumulate`, that is added to y.   x [m, n], y [n]
using SumRows = void(ExecContext& context, ConstMatrixView<float> x, bool accumulate, float* y);

// *y = scale * sum_i x[i].   x [count]
using SumAll = void(ExecContext& context, const float* x, int64_t count, float scale, float* y);

// y[i] = the sum of the squares of arrays[i], as doubles in the device's memory. The global gradient norm is the root
// of the sum over i.
using SumsOfSquares = void(ExecContext& context, absl::Span<const absl::Span<const float>> arrays, double* y);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_REDUCE_H_
