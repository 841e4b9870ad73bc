#include "ops/cuda/kernel_table.h"

#include "ops/cuda/functions.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

Kernels MakeKernels() {
  Kernels kernels;
  kernels.packed_gemm_i32.function = PackedGemmI32;
  kernels.packed_gemm_f32.function = PackedGemmF32;
  kernels.packed_gemm_threshold.function = PackedGemmThreshold;
  kernels.pad_image_f32.function = PadImageF32;
  kernels.max_pool_forward.function = MaxPoolForward;
  kernels.max_pool_backward.function = MaxPoolBackward;
  kernels.average_pool_forward.function = AveragePoolForward;
  kernels.average_pool_backward.function = AveragePoolBackward;
  kernels.max_pool_bits.function = MaxPoolBits;
  kernels.pack_codes.function = PackCodes;
  kernels.unpack_codes.function = UnpackCodes;
  kernels.sign_gemm_f32.function = SignGemmF32;
  kernels.sign_gemm_s8.function = SignGemmS8;
  kernels.pack_signs.function = PackSigns;
  kernels.unpack_signs.function = UnpackSigns;
  kernels.mask_by_bits.function = MaskByBits;
  kernels.pack_planes.function = PackPlanes;
  kernels.threshold_to_bits.function = ThresholdToBits;
  kernels.count_ones.function = CountOnes;
  kernels.quantize_statistic.function = QuantizeStatistic;
  kernels.quantize_codes.function = QuantizeCodes;
  kernels.quantize_values.function = QuantizeValues;
  kernels.quantize_bits.function = QuantizeBits;
  kernels.quantize_rows_s8.function = QuantizeRowsS8;
  kernels.quantize_backward.function = QuantizeBackward;
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
