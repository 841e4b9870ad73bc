// Products of few-bit codes: pairs of bit planes, or bytes, on tensor cores. Both sum S = sum_k c_a c_b exactly. Where the GPU has no
// products of bits, planes become bytes as well.

#include "core/check.h"
#include "ops/cuda/bit_operand.h"
#include "ops/cuda/byte_operand.h"
#include "ops/cuda/device.h"
#include "ops/cuda/expanded_product.h"
#include "ops/cuda/functions.h"
#include "ops/cuda/gemm_epilogues.h"
#include "ops/cuda/row_sums.h"
#include "ops/cuda/scratch.h"
#include "ops/cuda/tensor_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// The terms of ops/kernels/coded_gemm.h.
DotTerms TermsOf(const Encoding& a, const Encoding& b, int64_t k, const int32_t* row_sums, const int32_t* column_sums) {
  const auto step_a = static_cast<int32_t>(a.code_step()), step_b = static_cast<int32_t>(b.code_step());
  const auto least_a = static_cast<int32_t>(a.least_code()), least_b = static_cast<int32_t>(b.least_code());
  return {.scale = step_a * step_b,
          .row_factor = step_a * least_b,
          .column_factor = least_a * step_b,
          .constant = least_a * least_b * static_cast<int32_t>(k),
          .row_sums = row_sums,
          .column_sums = column_sums};
}

// Calls multiply(columns, epilogue) for what becomes of the sums.
template <typename Multiply>
void MultiplyTo(const DotOutput& out, const DotTerms& terms, const Multiply& multiply) {
  if (out.bits.words != nullptr) {
    multiply(ToBits::Columns(out.bits), ToBits{terms, out.bits, out.threshold, out.flip});
  } else {
    multiply(out.floats.cols, ToFloat{terms, out.floats, out.scale});
  }
}

}  // namespace

void PlaneGemm(ExecContext& context, const ConstPlanesView& a, const ConstPlanesView& b, const DotOutput& out) {
  BITGRAD_DCHECK(a.cols() == b.cols() && DotIsExact(a.encoding, b.encoding, a.cols()));
  TensorProblem problem = {.a = BitOperand(a.planes.data(), a.encoding.bits),
                           .b = BitOperand(b.planes.data(), b.encoding.bits),
                           .row_bytes = BitRowBytes(a.cols())};
  SetPairs(a.encoding.bits, b.encoding.bits, problem);
  const Scratch<int32_t> sums(context, a.rows() + b.rows());
  SumBitRows(context, problem.a, a.encoding.bits, problem.row_bytes, sums.data());
  SumBitRows(context, problem.b, b.encoding.bits, problem.row_bytes, sums.data() + a.rows());
  const DotTerms terms = TermsOf(a.encoding, b.encoding, a.cols(), sums.data(), sums.data() + a.rows());
  MultiplyTo(out, terms, [&](int64_t cols, const auto& epilogue) {
    if (HasBitProducts()) {
      TensorGemm<BitProducts>(context, "plane_gemm", problem, cols, epilogue);
    } else {
      ExpandedProduct(context, "plane_gemm", a, b, cols, epilogue);
    }
  });
}

void Int8Gemm(ExecContext& context, const ConstCodesView& a, const ConstPlanesView& b, const DotOutput& out) {
  const int64_t m = a.codes.rows, n = b.rows(), k = a.codes.cols;
  BITGRAD_DCHECK(k == b.cols() && DotIsExact(a.encoding, b.encoding, k));
  const int64_t stride = ByteRowBytes(k);
  const Scratch<uint8_t> a_bytes(context, m * stride), b_bytes(context, n * stride);
  CopyToBytes(context, a.codes, a_bytes.data());
  ExpandPlanes(context, b, b_bytes.data());
  TensorProblem problem = {.a = ByteOperand(a_bytes.data(), m, k), .b = ByteOperand(b_bytes.data(), n, k), .row_bytes = stride};
  SetPairs(1, 1, problem);
  const Scratch<int32_t> sums(context, m + n);
  SumByteRows(context, problem.a, stride, sums.data());
  SumByteRows(context, problem.b, stride, sums.data() + m);
  const DotTerms terms = TermsOf(a.encoding, b.encoding, k, sums.data(), sums.data() + m);
  MultiplyTo(out, terms, [&](int64_t cols, const auto& epilogue) {
    TensorGemm<ByteProducts>(context, "int8_gemm", problem, cols, epilogue);
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
