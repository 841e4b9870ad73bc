// The product of packed +-1 matrices. Up to kFewRows rows are multiplied by few_rows_gemm.cu, more rows on tensor cores
// (packed_product.h).

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/few_rows_gemm.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/packed_product.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void PackedGemm(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, const DotOutput& out) {
  BITGRAD_DCHECK(a.rows == 0 || out.cols() == b.rows);
  if (a.rows <= kFewRows) return FewRowsGemm(context, a, b, out);
  PackedProduct(context, "packed_gemm", a, b,
                [&](const DotTerms& terms, const auto& multiply) { MultiplyTo(out, terms, multiply); });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
