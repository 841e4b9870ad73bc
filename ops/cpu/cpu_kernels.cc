#include "bitgrad/ops/cpu/cpu_kernels.h"

#include "bitgrad/ops/cpu/functions.h"

namespace bitgrad {
namespace {

Kernels MakeCpuKernels() {
  Kernels kernels;
  kernels.gemm_f32.function = cpu::GemmF32;
  kernels.packed_gemm_i32.function = cpu::PackedGemmI32;
  kernels.packed_gemm_f32.function = cpu::PackedGemmF32;
  kernels.packed_gemm_threshold.function = cpu::PackedGemmThreshold;
  kernels.plane_gemm.function = cpu::PlaneGemm;
  kernels.int8_gemm.function = cpu::Int8Gemm;
  kernels.conv2d_f32.function = cpu::Conv2dF32;
  kernels.conv2d_backward_input_f32.function = cpu::Conv2dBackwardInputF32;
  kernels.conv2d_backward_weight_f32.function = cpu::Conv2dBackwardWeightF32;
  kernels.pad_image_f32.function = cpu::PadImageF32;
  kernels.max_pool_forward.function = cpu::MaxPoolForward;
  kernels.max_pool_backward.function = cpu::MaxPoolBackward;
  kernels.average_pool_forward.function = cpu::AveragePoolForward;
  kernels.average_pool_backward.function = cpu::AveragePoolBackward;
  kernels.max_pool_bits.function = cpu::MaxPoolBits;
  kernels.packed_conv2d.function = cpu::PackedConv2d;
  kernels.coded_conv2d.function = cpu::CodedConv2d;
  kernels.pack_codes.function = cpu::PackCodes;
  kernels.unpack_codes.function = cpu::UnpackCodes;
  kernels.look_up_f32.function = cpu::LookUpF32;
  kernels.look_up_u8.function = cpu::LookUpU8;
  kernels.sign_gemm_f32.function = cpu::SignGemmF32;
  kernels.sign_gemm_s8.function = cpu::SignGemmS8;
  kernels.pack_signs.function = cpu::PackSigns;
  kernels.unpack_signs.function = cpu::UnpackSigns;
  kernels.mask_by_bits.function = cpu::MaskByBits;
  kernels.pack_planes.function = cpu::PackPlanes;
  kernels.threshold_to_bits.function = cpu::ThresholdToBits;
  kernels.count_ones.function = cpu::CountOnes;
  kernels.quantize_statistic.function = cpu::QuantizeStatistic;
  kernels.quantize_codes.function = cpu::QuantizeCodes;
  kernels.quantize_values.function = cpu::QuantizeValues;
  kernels.quantize_bits.function = cpu::QuantizeBits;
  kernels.quantize_rows_s8.function = cpu::QuantizeRowsS8;
  kernels.quantize_backward.function = cpu::QuantizeBackward;
  kernels.unary_forward.function = cpu::UnaryForward;
  kernels.unary_backward.function = cpu::UnaryBackward;
  kernels.binary_forward.function = cpu::BinaryForward;
  kernels.scale_f32.function = cpu::ScaleF32;
  kernels.scale_by_f32.function = cpu::ScaleByF32;
  kernels.fill_f32.function = cpu::FillF32;
  kernels.fill_uniform.function = cpu::FillUniform;
  kernels.copy_matrix.function = cpu::CopyMatrix;
  kernels.dropout.function = cpu::Dropout;
  kernels.sum_rows.function = cpu::SumRows;
  kernels.sum_all.function = cpu::SumAll;
  kernels.mean_abs_rows.function = cpu::MeanAbsRows;
  kernels.mean_abs_rows_backward.function = cpu::MeanAbsRowsBackward;
  kernels.sums_of_squares.function = cpu::SumsOfSquares;
  kernels.batch_norm_statistics.function = cpu::BatchNormStatistics;
  kernels.batch_norm_train_backward.function = cpu::BatchNormTrainBackward;
  kernels.batch_norm_update_running.function = cpu::BatchNormUpdateRunning;
  kernels.batch_norm_running_inverse_std.function = cpu::BatchNormRunningInverseStd;
  kernels.batch_norm_eval.function = cpu::BatchNormEval;
  kernels.batch_norm_signs.function = cpu::BatchNormSigns;
  kernels.softmax_cross_entropy_forward.function = cpu::SoftmaxCrossEntropyForward;
  kernels.softmax_cross_entropy_backward.function = cpu::SoftmaxCrossEntropyBackward;
  kernels.squared_hinge_forward.function = cpu::SquaredHingeForward;
  kernels.squared_hinge_backward.function = cpu::SquaredHingeBackward;
  kernels.squared_error_forward.function = cpu::SquaredErrorForward;
  kernels.squared_error_backward.function = cpu::SquaredErrorBackward;
  kernels.count_errors.function = cpu::CountErrors;
  kernels.prepare_step.function = cpu::PrepareStep;
  kernels.sgd_step.function = cpu::SgdStep;
  kernels.adam_step.function = cpu::AdamStep;
  kernels.adamax_step.function = cpu::AdaMaxStep;
  return kernels;
}

}  // namespace

const Kernels& CpuKernels() {
  static const Kernels kernels = MakeCpuKernels();
  return kernels;
}

}  // namespace bitgrad
