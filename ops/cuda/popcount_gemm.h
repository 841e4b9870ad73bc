// The packed product as the papers' GPU kernels compute it: XOR and population count on the CUDA cores, one thread per
// cell, without tiles. It is the simple reference for tests of sizes that would take the CPU long, and a baseline of
// benchmarks.

#ifndef BITGRAD_OPS_CUDA_POPCOUNT_GEMM_H_
#define BITGRAD_OPS_CUDA_POPCOUNT_GEMM_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// c[i, j] = K - 2 popcount(a_i ^ b_j).   a [m, K], b [n, K], c [m, n]
void PopcountGemmI32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, MatrixView<int32_t> c);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_POPCOUNT_GEMM_H_
