// The description of an operand that tensor copies (TMA) need, and properties of the GPU for kernels that fill all of
// it.

#ifndef BITGRAD_OPS_CUDA_TENSOR_MAP_H_
#define BITGRAD_OPS_CUDA_TENSOR_MAP_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/tensor_operand.h"
#ifdef BITGRAD_CUDA_EMULATED
#include "bitgrad/ops/cuda/emulator/emulated_tensor_map.h"
#else
#include <cuda.h>
#endif

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

#ifndef BITGRAD_CUDA_EMULATED
using TensorMap = CUtensorMap;
#endif

// Describes copies of boxes of `box_rows` rows of 128 bytes from the operand's first plane, with the 128-byte swizzle
// and zeros outside of [rows, row_bytes]. REQUIRES: rows > 0, row_bytes > 0; box_rows <= 256.
TensorMap MakeTensorMap(ExecContext& context, const TensorOperand& operand, int64_t row_bytes, int box_rows);

// Properties of the current GPU.
int Multiprocessors();
int ComputeCapability();  // times 10: 90 for 9.0

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_TENSOR_MAP_H_
