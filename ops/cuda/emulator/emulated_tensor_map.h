// The emulator's description of a matrix for tensor copies.

#ifndef BITGRAD_OPS_CUDA_EMULATOR_EMULATED_TENSOR_MAP_H_
#define BITGRAD_OPS_CUDA_EMULATOR_EMULATED_TENSOR_MAP_H_

#include <cstdint>

namespace bitgrad::cuda_emulated {

// Rows of bytes in global memory, and the number of rows that one copy takes.
struct TensorMap {
  const unsigned char* data;
  int64_t row_bytes, rows, stride;
  int box_rows;
};

}  // namespace bitgrad::cuda_emulated

#endif  // BITGRAD_OPS_CUDA_EMULATOR_EMULATED_TENSOR_MAP_H_
