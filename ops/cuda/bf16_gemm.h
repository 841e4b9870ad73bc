// Matrix products of bf16, by cuBLASLt (cublas_gemm.cc). In the tests' emulator a loop does them
// (emulator/emulated_gemm.cc).

#ifndef BITGRAD_OPS_CUDA_BF16_GEMM_H_
#define BITGRAD_OPS_CUDA_BF16_GEMM_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// c = alpha op(a) b + beta c, with a float32 accumulator.   op(a) [m, k], b [k, n] bf16; c [m, n] float32
// REQUIRES: no extent is zero; the rows of all three matrices are aligned to 16 bytes.
void Bf16Gemm(ExecContext& context, bool transpose_a, float alpha, ConstMatrixView<uint16_t> a,
              ConstMatrixView<uint16_t> b, float beta, MatrixView<float> c);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_BF16_GEMM_H_
