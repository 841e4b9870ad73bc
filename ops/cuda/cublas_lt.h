// cuBLASLt, loaded when the first product needs it. The library has half a gigabyte, and a run on the CPU does not
// touch it.

#ifndef BITGRAD_OPS_CUDA_CUBLAS_LT_H_
#define BITGRAD_OPS_CUDA_CUBLAS_LT_H_

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "absl/status/status.h"

namespace bitgrad::cuda {

// C [m, n] = alpha op(A) op(B) + beta C, row-major, of any types that cuBLASLt multiplies.
struct MatrixProduct {
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;  // in elements
  cudaDataType_t type_ab = CUDA_R_32F;
  cudaDataType_t type_c = CUDA_R_32F;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType_t type_scale = CUDA_R_32F;  // int32 for CUBLAS_COMPUTE_32I: alpha and beta are then rounded to integers
  float alpha = 1, beta = 0;
};

// Enqueues the product. `workspace` has kCublasWorkspaceBytes bytes, and the product uses it until the stream has
// finished the product. An algorithm is looked up once per shape.
inline constexpr size_t kCublasWorkspaceBytes = size_t{32} << 20;
absl::Status Multiply(const MatrixProduct& product, void* workspace, cudaStream_t stream);

}  // namespace bitgrad::cuda

#endif  // BITGRAD_OPS_CUDA_CUBLAS_LT_H_
