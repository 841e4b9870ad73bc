// An operand of the exact products (tensor_gemm.h, wgmma_gemm.h).

#ifndef BITGRAD_OPS_CUDA_TENSOR_OPERAND_H_
#define BITGRAD_OPS_CUDA_TENSOR_OPERAND_H_

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

inline constexpr int kMostPlanes = 8;

// Rows of bytes. An operand of codes in bit planes has one such matrix for each plane.
struct TensorOperand {
  const unsigned char* planes[kMostPlanes];
  int64_t stride;  // bytes from one row to the next; a multiple of 16
  int64_t rows;
};

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_TENSOR_OPERAND_H_
