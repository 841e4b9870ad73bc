// Float matrix product.

#ifndef BITGRAD_OPS_KERNELS_GEMM_H_
#define BITGRAD_OPS_KERNELS_GEMM_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

// C = alpha * op(A) * op(B) + beta * C          op(X) = X, or X^T where the flag is set
//
// op(A) is [m, k], op(B) [k, n], C [m, n], float32. With beta = 0, C is not read. k = 0 gives beta * C.
// Where alpha = 1 and all products and partial sums are integers below 2^24, the result is exact.
using GemmF32 = void(ExecContext& context, bool transpose_a, bool transpose_b, float alpha, ConstMatrixView<float> a,
                     ConstMatrixView<float> b, float beta, MatrixView<float> c);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_GEMM_H_
