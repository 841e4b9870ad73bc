#include "ops/cuda/functions.h"
#include "ops/cuda/naive_gemm.h"

namespace bitgrad::cuda_emulated {

void GemmF32(ExecContext& context, bool transpose_a, bool transpose_b, float alpha, ConstMatrixView<float> a,
             ConstMatrixView<float> b, float beta, MatrixView<float> c) {
  NaiveGemmF32(context, transpose_a, transpose_b, alpha, a, b, beta, c);
}

}  // namespace bitgrad::cuda_emulated
