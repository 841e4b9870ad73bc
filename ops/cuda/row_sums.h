// Sums over the rows of packed operands, which the epilogues of products of bits and bytes need besides S
// (gemm_epilogues.h).

#ifndef BITGRAD_OPS_CUDA_ROW_SUMS_H_
#define BITGRAD_OPS_CUDA_ROW_SUMS_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// sums[i] = the sum over planes p of 2^p * (the number of ones in row i of plane p).
void SumBitRows(ExecContext& context, const TensorOperand& operand, int planes, int64_t row_bytes, int32_t* sums);

// sums[i] = the sum of the bytes of row i.
void SumByteRows(ExecContext& context, const TensorOperand& operand, int64_t row_bytes, int32_t* sums);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_ROW_SUMS_H_
