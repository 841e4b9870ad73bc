// The products that cuBLASLt computes. The product of floats uses full float32 (no TF32), so that sums of integers
// below 2^24 are exact, as the contract demands.

#include "bitgrad/ops/cuda/bf16_gemm.h"
#include "bitgrad/ops/cuda/cublas_lt.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/naive_gemm.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::cuda {
namespace {

// The product c = alpha op(a) op(b) + beta c as cublas_lt.h takes it.
template <typename T>
MatrixProduct ProductOf(cudaDataType_t type, bool transpose_a, bool transpose_b, float alpha, ConstMatrixView<T> a,
                        ConstMatrixView<T> b, float beta, MatrixView<float> c) {
  return {.transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .m = c.rows,
          .n = c.cols,
          .k = transpose_a ? a.rows : a.cols,
          .a = a.data,
          .b = b.data,
          .c = c.data,
          .stride_a = a.stride,
          .stride_b = b.stride,
          .stride_c = c.stride,
          .type_ab = type,
          .alpha = alpha,
          .beta = beta};
}

void Enqueue(ExecContext& context, const MatrixProduct& product) {
  const Scratch<char> workspace(context, kCublasWorkspaceBytes);
  const auto stream = static_cast<cudaStream_t>(context.stream()->handle());
  if (absl::Status error = Multiply(product, workspace.data(), stream); !error.ok()) context.ReportError(error);
}

}  // namespace

void GemmF32(ExecContext& context, bool transpose_a, bool transpose_b, float alpha, ConstMatrixView<float> a,
             ConstMatrixView<float> b, float beta, MatrixView<float> c) {
  if (c.rows == 0 || c.cols == 0 || !context.status().ok()) return;
  const MatrixProduct product = ProductOf(CUDA_R_32F, transpose_a, transpose_b, alpha, a, b, beta, c);
  if (product.k == 0) {  // cuBLASLt does not support empty sums
    return NaiveGemmF32(context, transpose_a, transpose_b, alpha, a, b, beta, c);
  }
  Enqueue(context, product);
}

void Bf16Gemm(ExecContext& context, bool transpose_a, float alpha, ConstMatrixView<uint16_t> a,
              ConstMatrixView<uint16_t> b, float beta, MatrixView<float> c) {
  if (!context.status().ok()) return;
  Enqueue(context, ProductOf(CUDA_R_16BF, transpose_a, /*transpose_b=*/false, alpha, a, b, beta, c));
}

}  // namespace bitgrad::cuda
