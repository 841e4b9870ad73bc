// The packed product with results of int16: they take half the memory of floats, for user-written kernels that
// process them further. It is in no table of kernels, because only the GPU has it.

#ifndef BITGRAD_OPS_CUDA_PACKED_GEMM_I16_H_
#define BITGRAD_OPS_CUDA_PACKED_GEMM_I16_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The largest K whose dot products, which lie in [-K, K], fit into int16.
inline constexpr int64_t kMostInnerOfI16 = 32767;

// c[i, j] = dot(i, j) of ops/kernels/packed_gemm.h.   a [m, K], b [n, K] bits; c [m, n] int16. REQUIRES: K <=
// kMostInnerOfI16. It always runs on tensor cores: with few rows the result is too small for its type to matter.
void PackedGemmI16(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, MatrixView<int16_t> c);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_PACKED_GEMM_I16_H_
