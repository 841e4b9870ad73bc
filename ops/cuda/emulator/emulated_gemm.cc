// The products that cuBLASLt computes on a GPU, as loops.

#include <bit>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/bf16_gemm.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/naive_gemm.h"

namespace bitgrad::cuda_emulated {

void GemmF32(ExecContext& context, bool transpose_a, bool transpose_b, float alpha, ConstMatrixView<float> a,
             ConstMatrixView<float> b, float beta, MatrixView<float> c) {
  NaiveGemmF32(context, transpose_a, transpose_b, alpha, a, b, beta, c);
}

void Bf16Gemm(ExecContext& context, bool transpose_a, float alpha, ConstMatrixView<uint16_t> a,
              ConstMatrixView<uint16_t> b, float beta, MatrixView<float> c) {
  const auto aligned = [](const auto& x) {
    return (reinterpret_cast<uintptr_t>(x.data) | static_cast<uintptr_t>(x.stride * sizeof(*x.data))) % 16 == 0;
  };
  BITGRAD_CHECK(aligned(a) && aligned(b) && aligned(c));
  BITGRAD_CHECK(c.rows == (transpose_a ? a.cols : a.rows) && b.rows == (transpose_a ? a.rows : a.cols) &&
                c.cols == b.cols);
  const auto value = [](uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); };
  ForCells(context, "bf16_gemm", c.rows, c.cols, [=](int64_t i, int64_t j) {
    float sum = 0;
    for (int64_t l = 0; l < b.rows; ++l) sum += value(transpose_a ? a.at(l, i) : a.at(i, l)) * value(b.at(l, j));
    c.at(i, j) = beta == 0 ? alpha * sum : alpha * sum + beta * c.at(i, j);
  });
}

}  // namespace bitgrad::cuda_emulated
