// Products of codes with few bits on tensor cores, as pairs of bit planes or as bytes. Both compute S = sum_k c_a c_b
// exactly. On a GPU without products of bits, planes are expanded to bytes.

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/bit_operand.h"
#include "bitgrad/ops/cuda/byte_gemm.h"
#include "bitgrad/ops/cuda/byte_operand.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/direct_dots.h"
#include "bitgrad/ops/cuda/expanded_product.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/gemm_epilogues.h"
#include "bitgrad/ops/cuda/row_sums.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"
#include "bitgrad/ops/kernels/scratch.h"

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

void ByteGemm(ExecContext& context, const Encoding& encoding, const TensorOperand& codes, const ConstPlanesView& b,
              const DotOutput& out) {
  const int64_t m = codes.rows, n = b.rows(), k = b.cols();
  BITGRAD_DCHECK(encoding.is_affine());
  BITGRAD_DCHECK(reinterpret_cast<uintptr_t>(codes.planes[0]) % 16 == 0 && codes.stride % 16 == 0);
  const int64_t row_bytes = ByteRowBytes(k);
  const Scratch<uint8_t> b_bytes(context, n * row_bytes);
  ExpandPlanes(context, b, b_bytes.data());
  TensorProblem problem = {.a = codes, .b = ByteOperand(b_bytes.data(), n, k), .row_bytes = row_bytes};
  SetPairs(1, 1, problem);
  const Scratch<int32_t> sums(context, m + n);
  SumByteRows(context, problem.a, row_bytes, sums.data());
  SumByteRows(context, problem.b, row_bytes, sums.data() + m);
  const DotTerms terms = TermsOf(encoding, ByteEncoding(b.encoding), k, sums.data(), sums.data() + m);
  MultiplyTo(out, terms, [&](int64_t cols, const auto& epilogue) {
    TensorGemm<ByteProducts>(context, "int8_gemm", problem, cols, epilogue);
  });
}

void Int8Gemm(ExecContext& context, const ConstCodesView& a, const ConstPlanesView& b, const DotOutput& out) {
  const ConstMatrixView<uint8_t>& codes = a.codes;
  BITGRAD_DCHECK(codes.cols == b.cols() && Int8GemmIsExact(a.encoding, b.encoding, codes.cols, out));
  if (!FitsBytes(a.encoding, b.encoding, codes.cols)) {
    // Each row is an image of one pixel.
    const ConvGeometry g = {.batch = codes.rows,
                            .height = 1,
                            .width = 1,
                            .channels = codes.cols,
                            .filters = b.rows(),
                            .kernel_height = 1,
                            .kernel_width = 1};
    return DirectCodeDots(context, g, a, b, /*border=*/0, out);
  }
  // Used in place where rows are aligned to 16 bytes and need no padding.
  if (!a.encoding.is_log() && codes.cols % 16 == 0 && codes.stride % 16 == 0 &&
      reinterpret_cast<uintptr_t>(codes.data) % 16 == 0) {
    return ByteGemm(context, a.encoding, {.planes = {codes.data}, .stride = codes.stride, .rows = codes.rows}, b, out);
  }
  const Scratch<uint8_t> bytes(context, codes.rows * ByteRowBytes(codes.cols));
  CopyToBytes(context, a, bytes.data());
  ByteGemm(context, ByteEncoding(a.encoding), ByteOperand(bytes.data(), codes.rows, codes.cols), b, out);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
