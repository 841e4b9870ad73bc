// Products of few rows of bits with many: for batches of one to kFewRows examples. The contracts are those of
// ops/kernels/packed_gemm.h.

#ifndef BITGRAD_OPS_CUDA_FEW_ROWS_GEMM_H_
#define BITGRAD_OPS_CUDA_FEW_ROWS_GEMM_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// With more rows than this, tensor cores are faster (an estimate from the rates of popcounts and loads; not measured).
inline constexpr int64_t kFewRows = 8;

void FewRowsGemmI32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, int shift, bool accumulate,
                    MatrixView<int32_t> c);
void FewRowsGemmF32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, float scale, MatrixView<float> c);
void FewRowsGemmThreshold(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, const int32_t* threshold,
                          const uint8_t* flip, BitMatrixView c);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_FEW_ROWS_GEMM_H_
