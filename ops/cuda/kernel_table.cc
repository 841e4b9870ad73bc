#include "bitgrad/ops/cuda/kernel_table.h"

#include "bitgrad/ops/cuda/functions.h"

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
  kernels.conv2d_f32.function = Conv2dF32;
  kernels.conv2d_backward_input_f32.function = Conv2dBackwardInputF32;
  kernels.conv2d_backward_weight_f32.function = Conv2dBackwardWeightF32;
  kernels.pad_image_f32.function = PadImageF32;
  kernels.max_pool_forward.function = MaxPoolForward;
  kernels.max_pool_backward.function = MaxPoolBackward;
  kernels.average_pool_forward.function = AveragePoolForward;
  kernels.average_pool_backward.function = AveragePoolBackward;
  kernels.max_pool_bits.function = MaxPoolBits;
  kernels.packed_conv2d.function = PackedConv2d;
  kernels.coded_conv2d.function = CodedConv2d;
  kernels.pack_codes.function = PackCodes;
  kernels.unpack_codes.function = UnpackCodes;
  kernels.look_up_f32.function = LookUpF32;
  kernels.look_up_u8.function = LookUpU8;
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
  kernels.scale_by_f32.function = ScaleByF32;
  kernels.fill_f32.function = FillF32;
  kernels.fill_uniform.function = FillUniform;
  kernels.copy_matrix.function = CopyMatrix;
  kernels.dropout.function = Dropout;
  kernels.sum_rows.function = SumRows;
  kernels.sum_all.function = SumAll;
  kernels.mean_abs_rows.function = MeanAbsRows;
  kernels.mean_abs_rows_backward.function = MeanAbsRowsBackward;
  kernels.sums_of_squares.function = SumsOfSquares;
  kernels.batch_norm_statistics.function = BatchNormStatistics;
  kernels.batch_norm_train_backward.function = BatchNormTrainBackward;
  kernels.batch_norm_update_running.function = BatchNormUpdateRunning;
  kernels.batch_norm_running_inverse_std.function = BatchNormRunningInverseStd;
  kernels.batch_norm_eval.function = BatchNormEval;
  kernels.batch_norm_signs.function = BatchNormSigns;
  kernels.softmax_cross_entropy_forward.function = SoftmaxCrossEntropyForward;
  kernels.softmax_cross_entropy_backward.function = SoftmaxCrossEntropyBackward;
  kernels.squared_hinge_forward.function = SquaredHingeForward;
  kernels.squared_hinge_backward.function = SquaredHingeBackward;
  kernels.squared_error_forward.function = SquaredErrorForward;
  kernels.squared_error_backward.function = SquaredErrorBackward;
  kernels.count_errors.function = CountErrors;
  kernels.prepare_step.function = PrepareStep;
  kernels.sgd_step.function = SgdStep;
  kernels.adam_step.function = AdamStep;
  kernels.adamax_step.function = AdaMaxStep;
  return kernels;
}

}  // namespace

const Kernels& CudaKernels() {
  static const Kernels* const kKernels = new Kernels(MakeKernels());
  return *kKernels;
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
