// Matrix product of packed +-1 matrices: XOR and population count.
//
//   dot(i, j) = sum_k a[i, k] b[j, k] = K - 2 popcount(a_i ^ b_j)         a [m, K], b [n, K] bits
//
// Both operands are row-major with K contiguous (activations [batch, in], weights [out, in]).
// REQUIRES: a.cols == b.cols = K < 2^24; padding bits are zero. Exact for any m, n, K, zero included.

#ifndef BITGRAD_OPS_KERNELS_PACKED_GEMM_H_
#define BITGRAD_OPS_KERNELS_PACKED_GEMM_H_

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

// c[i, j] = dot(i, j) * 2^shift; where `accumulate`, that is added to c.   c [m, n] int32
//
// With shift and accumulate, a product with a k-bit operand is a sum of products with its bit planes: symmetric codes
// are 2c - (2^k - 1) = sum_b 2^b (2 c_b - 1), so each plane is a +-1 matrix. REQUIRES: no sum overflows int32.
using PackedGemmI32 = void(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, int shift, bool accumulate,
                           MatrixView<int32_t> c);

// c[i, j] = float(dot(i, j)) * scale.   c [m, n] float32
using PackedGemmF32 = void(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, float scale,
                           MatrixView<float> c);

// Bit j of row i of c: (dot(i, j) >= threshold[j]) != flip[j].   threshold [n] int32, flip [n] uint8 (0, 1)
//
// This is what follows a binary layer, batch norm and sign, folded into a comparison of integers.
using PackedGemmThreshold = void(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b,
                                 const int32_t* threshold, const uint8_t* flip, BitMatrixView c);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_PACKED_GEMM_H_
