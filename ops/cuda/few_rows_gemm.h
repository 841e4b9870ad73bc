// Products of few rows of bits with many: for batches of one to kFewRows examples. The contract is that of
// ops/kernels/packed_gemm.h.

#ifndef BITGRAD_OPS_CUDA_FEW_ROWS_GEMM_H_
#define BITGRAD_OPS_CUDA_FEW_ROWS_GEMM_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// With more rows than this, tensor cores are faster (an estimate from the rates of popcounts and loads; not measured).
inline constexpr int64_t kFewRows = 8;

void FewRowsGemm(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, const DotOutput& out);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_FEW_ROWS_GEMM_H_
