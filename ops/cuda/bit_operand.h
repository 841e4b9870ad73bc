// Bit matrices as operands of tensor_gemm.h.

#ifndef BITGRAD_OPS_CUDA_BIT_OPERAND_H_
#define BITGRAD_OPS_CUDA_BIT_OPERAND_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Bytes of a row of `cols` bits, up to a whole 16 bytes: the padding of a bit matrix's rows reaches further.
constexpr int64_t BitRowBytes(int64_t cols) { return (cols + 127) / 128 * 16; }

// REQUIRES: the planes have the same extents and stride; rows lie on 16 bytes.
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
