// Bit matrices as operands of the tensor-core GEMM (tensor_gemm.h).

#ifndef BITGRAD_OPS_CUDA_BIT_OPERAND_H_
#define BITGRAD_OPS_CUDA_BIT_OPERAND_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The bytes of a row of `cols` bits, rounded up to a multiple of 16. The padding of a bit matrix's rows is at least as
// long.
constexpr int64_t BitRowBytes(int64_t cols) { return (cols + 127) / 128 * 16; }

// REQUIRES: the planes have equal extents and strides; their rows are aligned to 16 bytes.
inline TensorOperand BitOperand(const ConstBitMatrixView* planes, int count) {
  TensorOperand operand = {.stride = planes[0].stride * 8, .rows = planes[0].rows};
  BITGRAD_DCHECK(planes[0].stride % 2 == 0);
  for (int p = 0; p < count; ++p) {
    BITGRAD_DCHECK(reinterpret_cast<uintptr_t>(planes[p].words) % 16 == 0);
    operand.planes[p] = reinterpret_cast<const unsigned char*>(planes[p].words);
  }
  return operand;
}
inline TensorOperand BitOperand(const ConstBitMatrixView& bits) { return BitOperand(&bits, 1); }

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_BIT_OPERAND_H_
