// Product of packed +-1 matrices.
//
//   dot(i, j) = 4 popcount(a_i & b_j) - 2 popcount(a_i) - 2 popcount(b_j) + K
//
// AND, because that is the one product of bits that tensor cores have on every GPU from sm_80 to sm_90. Up to kFewRows rows go
// to few_rows_gemm.cu, large products on Hopper to wgmma_gemm.h, the rest to tensor_gemm.h.

#include "core/check.h"
#include "ops/cuda/bit_operand.h"
#include "ops/cuda/device.h"
#include "ops/cuda/few_rows_gemm.h"
#include "ops/cuda/functions.h"
#include "ops/cuda/gemm_epilogues.h"
#include "ops/cuda/row_sums.h"
#include "ops/cuda/scratch.h"
#include "ops/cuda/tensor_gemm.h"
#include "ops/cuda/wgmma_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// Calls multiply(problem, terms) with the counts of both operands made.
template <typename F>
void WithTerms(ExecContext& context, const ConstBitMatrixView& a, const ConstBitMatrixView& b, const F& multiply) {
  BITGRAD_DCHECK(a.cols == b.cols && a.cols < (1 << 24));
  TensorProblem problem = {.a = BitOperand(a), .b = BitOperand(b), .row_bytes = BitRowBytes(a.cols)};
  SetPairs(1, 1, problem);
  const Scratch<int32_t> ones(context, a.rows + b.rows);
  SumBitRows(context, problem.a, 1, problem.row_bytes, ones.data());
  SumBitRows(context, problem.b, 1, problem.row_bytes, ones.data() + a.rows);
  const DotTerms terms = {.scale = 4,
                          .row_factor = -2,
                          .column_factor = -2,
                          .constant = static_cast<int32_t>(a.cols),
                          .row_sums = ones.data(),
                          .column_sums = ones.data() + a.rows};
  multiply(problem, terms);
}

template <typename Epilogue>
void Multiply(ExecContext& context, const char* name, const TensorProblem& problem, int64_t cols, const Epilogue& epilogue) {
  if (UsesWgmma(problem, cols)) {
    WgmmaGemm(context, name, problem, cols, epilogue);
  } else {
    TensorGemm<BitProducts>(context, name, problem, cols, epilogue);
  }
}

}  // namespace

void PackedGemmI32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, int shift, bool accumulate,
                   MatrixView<int32_t> c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  if (a.rows <= kFewRows) return FewRowsGemmI32(context, a, b, shift, accumulate, c);
  WithTerms(context, a, b, [&](const TensorProblem& problem, const DotTerms& terms) {
    Multiply(context, "packed_gemm_i32", problem, c.cols, ToInt32{terms, c, shift, accumulate});
  });
}

void PackedGemmF32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, float scale, MatrixView<float> c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  if (a.rows <= kFewRows) return FewRowsGemmF32(context, a, b, scale, c);
  WithTerms(context, a, b, [&](const TensorProblem& problem, const DotTerms& terms) {
    Multiply(context, "packed_gemm_f32", problem, c.cols, ToFloat{terms, c, scale});
  });
}

void PackedGemmThreshold(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, const int32_t* threshold,
                         const uint8_t* flip, BitMatrixView c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  if (a.rows <= kFewRows) return FewRowsGemmThreshold(context, a, b, threshold, flip, c);
  WithTerms(context, a, b, [&](const TensorProblem& problem, const DotTerms& terms) {
    Multiply(context, "packed_gemm_threshold", problem, ToBits::Columns(c), ToBits{terms, c, threshold, flip});
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
