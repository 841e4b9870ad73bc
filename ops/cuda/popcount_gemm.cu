#include "bitgrad/ops/cuda/popcount_gemm.h"

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void PopcountGemmI32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, MatrixView<int32_t> c) {
  BITGRAD_DCHECK(a.cols == b.cols && c.rows == a.rows && c.cols == b.rows);
  const int64_t words = (a.cols + 63) / 64;
  ForCells(context, "popcount_gemm", c.rows, c.cols, [=] __device__(int64_t i, int64_t j) {
    const uint64_t* const x = a.row(i);
    const uint64_t* const y = b.row(j);
    int32_t differing = 0;
    for (int64_t w = 0; w < words; ++w) differing += __popcll(x[w] ^ y[w]);
    c.at(i, j) = static_cast<int32_t>(a.cols) - 2 * differing;
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
