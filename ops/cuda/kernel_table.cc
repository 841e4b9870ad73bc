#include "ops/cuda/kernel_table.h"

#include "ops/cuda/functions.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

Kernels MakeKernels() {
  Kernels kernels;
  kernels.gemm_f32.function = GemmF32;
  kernels.packed_gemm_i32.function = PackedGemmI32;
  kernels.packed_gemm_f32.function = PackedGemmF32;
  kernels.packed_gemm_threshold.function = PackedGemmThreshold;
  kernels.plane_gemm.function = PlaneGemm;
  kernels.int8_gemm.function = Int8Gemm;
  kernels.sign_gemm_f32.function = SignGemmF32;
  kernels.sign_gemm_s8.function = SignGemmS8;
  kernels.unary_forward.function = UnaryForward;
  kernels.unary_backward.function = UnaryBackward;
  kernels.binary_forward.function = BinaryForward;
  kernels.scale_f32.function = ScaleF32;
  kernels.fill_f32.function = FillF32;
  kernels.fill_uniform.function = FillUniform;
  kernels.copy_matrix.function = CopyMatrix;
  kernels.dropout.function = Dropout;
  return kernels;
}

}  // namespace

const Kernels& CudaKernels() {
  static const Kernels* const kKernels = new Kernels(MakeKernels());
  return *kKernels;
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
