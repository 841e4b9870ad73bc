// Matrix products in which one operand is packed signs: what the backward pass of a binary layer multiplies.
//
//   c[i, j] = scale * sum_k a[i, k] s(b[k, j])       s(1) = +1, s(0) = -1
//
//   dx = dy w        a = dy [batch, out],     b = w [out, in]
//   dw = dy^T x      a = dy^T [out, batch],   b = x [batch, in]
//
// b [K, n] bits is read in the layout in which the forward pass packed it: its rows are the inner dimension.
// c [m, n] float32 is overwritten. K = 0 gives zeros.
//
// Where `squares` is not null, *squares = the sum of c[i, j]^2 with a relative error of about 1e-6; it is accumulated
// in float while c is in registers. The result is the same at any number of threads, but not on every instruction set.
// Elements of magnitude below 1e-19 may count as 0. It is not finite where an element is not finite or exceeds 1e18.
// REQUIRES, with squares: the CPU.

#ifndef BITGRAD_OPS_KERNELS_SIGN_GEMM_H_
#define BITGRAD_OPS_KERNELS_SIGN_GEMM_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

// a = op(A) [m, K] float32, with op(A) = A, or A^T where transpose_a; the scale is one number: REQUIRES
// scale.is_uniform(). (A scale for each row of b is applied to the columns of a before: scale_columns.) On the CPU each
// sum is rounded K times, in the order of k, so the result depends neither on the instruction set nor on the number of
// threads. On a GPU the elements of a are rounded as ExecContext::backward_precision() says, and the tensor cores
// determine the order of a sum; it is the same on every call.
using SignGemmF32 = void(ExecContext& context, bool transpose_a, const ScaleView& scale, ConstMatrixView<float> a,
                         ConstBitMatrixView b, MatrixView<float> c, double* squares);

// Up to this K, sums of int8 times signs stay below 2^24 and are exact in float too.
inline constexpr int64_t kMaxSignGemmS8Inner = int64_t{1} << 17;

// a [m, K] int8, whose elements are at most max_code in magnitude: small codes may be multiplied as bit planes. scale
// [m], one for each row of a. The sum is exact and is then scaled, so c does not depend on max_code. REQUIRES: K <=
// kMaxSignGemmS8Inner; no |a[i, k]| exceeds max_code.
using SignGemmS8 = void(ExecContext& context, const float* scale, ConstMatrixView<int8_t> a, int max_code,
                        ConstBitMatrixView b, MatrixView<float> c, double* squares);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SIGN_GEMM_H_
