// The packed product to int16: half the memory of PackedGemmI32's result, for kernels of one's own that go on from it.
// No contract of the table: only the GPU has it.

#ifndef BITGRAD_OPS_CUDA_PACKED_GEMM_I16_H_
#define BITGRAD_OPS_CUDA_PACKED_GEMM_I16_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// dot(i, j) lies in [-K, K].
inline constexpr int64_t kMostInnerOfI16 = 32767;

// c[i, j] = dot(i, j) of ops/kernels/packed_gemm.h.   a [m, K], b [n, K] bits; c [m, n] int16. REQUIRES: K <=
// kMostInnerOfI16. Always on tensor cores: a few rows have a result too small to matter.
void PackedGemmI16(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, MatrixView<int16_t> c);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_PACKED_GEMM_I16_H_
