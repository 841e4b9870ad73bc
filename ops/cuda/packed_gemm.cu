// The product of packed +-1 matrices. Up to kFewRows rows are multiplied by few_rows_gemm.cu, more rows on tensor cores
// (packed_product.h).

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/few_rows_gemm.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/packed_product.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void PackedGemmI32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, int shift, bool accumulate,
                   MatrixView<int32_t> c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  if (a.rows <= kFewRows) return FewRowsGemmI32(context, a, b, shift, accumulate, c);
  PackedProduct(context, "packed_gemm_i32", a, b, c.cols, [&](const DotTerms& terms) {
    return ToInt32{terms, c, shift, accumulate};
  });
}

void PackedGemmF32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, float scale, MatrixView<float> c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  if (a.rows <= kFewRows) return FewRowsGemmF32(context, a, b, scale, c);
  PackedProduct(context, "packed_gemm_f32", a, b, c.cols, [&](const DotTerms& terms) {
    return ToFloat{terms, c, scale};
  });
}

void PackedGemmThreshold(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, const int32_t* threshold,
                         const uint8_t* flip, BitMatrixView c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  if (a.rows <= kFewRows) return FewRowsGemmThreshold(context, a, b, threshold, flip, c);
  PackedProduct(context, "packed_gemm_threshold", a, b, ToBits::Columns(c), [&](const DotTerms& terms) {
    return ToBits{terms, c, threshold, flip};
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
