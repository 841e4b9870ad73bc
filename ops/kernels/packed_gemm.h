// Matrix product of packed +-1 matrices: XOR and population count.
//
//   dot(i, j) = sum_k a[i, k] b[j, k] = K - 2 popcount(a_i ^ b_j)         a [m, K], b [n, K] bits
//
// The output transform (DotOutput of coded_gemm.h) makes scaled floats, threshold bits or codes of the sums.
//
// Both operands are row-major with K contiguous (activations [batch, in], weights [out, in]).
// REQUIRES: a.cols == b.cols = K < 2^24; padding bits are zero. Exact for any m, n, K, zero included.

#ifndef BITGRAD_OPS_KERNELS_PACKED_GEMM_H_
#define BITGRAD_OPS_KERNELS_PACKED_GEMM_H_

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad {

using PackedGemm = void(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, const DotOutput& out);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_PACKED_GEMM_H_
