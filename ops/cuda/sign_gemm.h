// The two ways of SignGemmF32 (ops/kernels/sign_gemm.h), for it and for the benchmark that compares them.

#ifndef BITGRAD_OPS_CUDA_SIGN_GEMM_H_
#define BITGRAD_OPS_CUDA_SIGN_GEMM_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The signs become +-1 in registers (sign_gemm.cu): no memory but the operands', and any alignment.
void SignGemmInRegisters(ExecContext& context, bool transpose_a, float scale, ConstMatrixView<float> a,
                         ConstBitMatrixView b, ConstBitMatrixView mask, MatrixView<float> c);

// The signs become +-1 in memory, floats their pieces, and cuBLASLt multiplies (sign_gemm_in_memory.cu).
// REQUIRES: no extent is zero; rows of c lie on 16 bytes.
void SignGemmInMemory(ExecContext& context, bool transpose_a, float scale, ConstMatrixView<float> a,
                      ConstBitMatrixView b, ConstBitMatrixView mask, MatrixView<float> c);

// Whether the second is expected to be faster here (and can be used). inner: K.
bool IsFasterInMemory(BackwardPrecision precision, int64_t inner, ConstBitMatrixView mask, MatrixView<float> c);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_SIGN_GEMM_H_
