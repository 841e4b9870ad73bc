// The packed product with any epilogue: it counts the ones that the product needs, and chooses the kernel.
//
//   dot(i, j) = 4 popcount(a_i & b_j) - 2 popcount(a_i) - 2 popcount(b_j) + K
//
// It uses AND, because that is the one product of bits that tensor cores have on every GPU from sm_80 to sm_90. Large
// products on Hopper are done by wgmma_gemm.h, others by tensor_gemm.h. On GPUs without products of bits, bits are
// expanded to bytes (expanded_product.h).

#ifndef BITGRAD_OPS_CUDA_PACKED_PRODUCT_H_
#define BITGRAD_OPS_CUDA_PACKED_PRODUCT_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/bit_operand.h"
#include "bitgrad/ops/cuda/expanded_product.h"
#include "bitgrad/ops/cuda/gemm_epilogues.h"
#include "bitgrad/ops/cuda/row_sums.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"
#include "bitgrad/ops/cuda/wgmma_gemm.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// a [m, K], b [n, K]. store(terms, multiply) calls multiply(columns, epilogue) once: columns is at least n, and more
// where the epilogue writes padding.
template <typename Store>
void PackedProduct(ExecContext& context, const char* name, const ConstBitMatrixView& a, const ConstBitMatrixView& b,
                   const Store& store) {
  BITGRAD_DCHECK(a.cols == b.cols && a.cols < (1 << 24));
  TensorProblem problem = {.a = BitOperand(a), .b = BitOperand(b), .row_bytes = BitRowBytes(a.cols)};
  SetPairs(1, 1, problem);
  const Scratch<int32_t> ones(context, a.rows + b.rows);
  SumBitRows(context, problem.a, 1, problem.row_bytes, ones.data());
  // For weights, the optimizer has counted the ones when it made the bits.
  const int32_t* const ones_of_b = b.ones != nullptr ? b.ones : ones.data() + a.rows;
  if (b.ones == nullptr) SumBitRows(context, problem.b, 1, problem.row_bytes, ones.data() + a.rows);
  const DotTerms terms = {.scale = 4,
                          .row_factor = -2,
                          .column_factor = -2,
                          .constant = static_cast<int32_t>(a.cols),
                          .row_sums = ones.data(),
                          .column_sums = ones_of_b};
  store(terms, [&](int64_t cols, const auto& epilogue) {
    if (!HasBitProducts()) {
      const Encoding binary{EncodingKind::kBinary, 1};
      ExpandedProduct(context, name, {binary, {a}}, {binary, {b}}, cols, epilogue);
    } else if (UsesWgmma(problem, cols)) {
      WgmmaGemm(context, name, problem, cols, epilogue);
    } else {
      TensorGemm<BitProducts>(context, name, problem, cols, epilogue);
    }
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_PACKED_PRODUCT_H_
