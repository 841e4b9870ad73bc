#include "bitgrad/ops/cuda/naive_gemm.h"

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void NaiveGemmF32(ExecContext& context, bool transpose_a, bool transpose_b, float alpha, ConstMatrixView<float> a,
                  ConstMatrixView<float> b, float beta, MatrixView<float> c) {
  const int64_t k = transpose_a ? a.rows : a.cols;
  ForCells(context, "naive_gemm_f32", c.rows, c.cols, [=] __device__(int64_t i, int64_t j) {
    float sum = 0;
    for (int64_t l = 0; l < k; ++l) {
      sum += (transpose_a ? a.at(l, i) : a.at(i, l)) * (transpose_b ? b.at(j, l) : b.at(l, j));
    }
    c.at(i, j) = beta == 0 ? alpha * sum : alpha * sum + beta * c.at(i, j);
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
