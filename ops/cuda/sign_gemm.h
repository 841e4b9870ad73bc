// The two implementations of SignGemmF32 (ops/kernels/sign_gemm.h), which chooses one; a benchmark compares them.

#ifndef BITGRAD_OPS_CUDA_SIGN_GEMM_H_
#define BITGRAD_OPS_CUDA_SIGN_GEMM_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Expands the signs to +-1 in registers (sign_gemm.cu). Needs no further memory and no alignment.
void SignGemmInRegisters(ExecContext& context, bool transpose_a, const ScaleView& scale, ConstMatrixView<float> a,
                         ConstBitMatrixView b, MatrixView<float> c);

// Expands the signs to +-1, and splits the floats into pieces, in memory; cuBLASLt multiplies them
// (sign_gemm_in_memory.cu). REQUIRES: no extent is zero; rows of c are aligned to 16 bytes.
void SignGemmInMemory(ExecContext& context, bool transpose_a, const ScaleView& scale, ConstMatrixView<float> a,
                      ConstBitMatrixView b, MatrixView<float> c);

// Whether SignGemmInMemory() can be used and is expected to be faster. `inner` is K.
bool IsFasterInMemory(BackwardPrecision precision, int64_t inner, MatrixView<float> c);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_SIGN_GEMM_H_
