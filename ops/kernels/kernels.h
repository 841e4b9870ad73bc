// struct Kernels: the kernels of a device. ops/cpu/cpu_kernels.cc fills the CPU's, ops/cuda/kernel_table.cc a GPU's.

#ifndef BITGRAD_OPS_KERNELS_KERNELS_H_
#define BITGRAD_OPS_KERNELS_KERNELS_H_

#include "bitgrad/ops/kernels/batch_norm.h"
#include "bitgrad/ops/kernels/bitpack.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/elementwise.h"
#include "bitgrad/ops/kernels/gemm.h"
#include "bitgrad/ops/kernels/kernel.h"
#include "bitgrad/ops/kernels/lookup.h"
#include "bitgrad/ops/kernels/losses.h"
#include "bitgrad/ops/kernels/optimizer_step.h"
#include "bitgrad/ops/kernels/packed_gemm.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/ops/kernels/quantize.h"
#include "bitgrad/ops/kernels/reduce.h"
#include "bitgrad/ops/kernels/sign_gemm.h"

namespace bitgrad {

struct Kernels {
  Kernel<GemmF32> gemm_f32{"gemm_f32"};
  Kernel<PackedGemmI32> packed_gemm_i32{"packed_gemm_i32"};
  Kernel<PackedGemmF32> packed_gemm_f32{"packed_gemm_f32"};
  Kernel<PackedGemmThreshold> packed_gemm_threshold{"packed_gemm_threshold"};

  Kernel<PlaneGemm> plane_gemm{"plane_gemm"};
  Kernel<Int8Gemm> int8_gemm{"int8_gemm"};

  Kernel<SignGemmF32> sign_gemm_f32{"sign_gemm_f32"};
  Kernel<SignGemmS8> sign_gemm_s8{"sign_gemm_s8"};

  Kernel<Conv2dF32> conv2d_f32{"conv2d_f32"};
  Kernel<Conv2dBackwardInputF32> conv2d_backward_input_f32{"conv2d_backward_input_f32"};
  Kernel<Conv2dBackwardWeightF32> conv2d_backward_weight_f32{"conv2d_backward_weight_f32"};
  Kernel<PadImageF32> pad_image_f32{"pad_image_f32"};
  Kernel<PackedConv2d> packed_conv2d{"packed_conv2d"};
  Kernel<CodedConv2d> coded_conv2d{"coded_conv2d"};

  Kernel<MaxPoolForward> max_pool_forward{"max_pool_forward"};
  Kernel<MaxPoolBackward> max_pool_backward{"max_pool_backward"};
  Kernel<AveragePoolForward> average_pool_forward{"average_pool_forward"};
  Kernel<AveragePoolBackward> average_pool_backward{"average_pool_backward"};
  Kernel<MaxPoolBits> max_pool_bits{"max_pool_bits"};

  Kernel<PackCodes> pack_codes{"pack_codes"};
  Kernel<UnpackCodes> unpack_codes{"unpack_codes"};
  Kernel<LookUpF32> look_up_f32{"look_up_f32"};
  Kernel<LookUpU8> look_up_u8{"look_up_u8"};
  Kernel<PackSigns> pack_signs{"pack_signs"};
  Kernel<UnpackSigns> unpack_signs{"unpack_signs"};
  Kernel<MaskByBits> mask_by_bits{"mask_by_bits"};
  Kernel<PackPlanes> pack_planes{"pack_planes"};
  Kernel<ThresholdToBits> threshold_to_bits{"threshold_to_bits"};
  Kernel<CountOnes> count_ones{"count_ones"};

  Kernel<QuantizeStatistic> quantize_statistic{"quantize_statistic"};
  Kernel<QuantizeCodes> quantize_codes{"quantize_codes"};
  Kernel<QuantizeValues> quantize_values{"quantize_values"};
  Kernel<QuantizeBits> quantize_bits{"quantize_bits"};
  Kernel<QuantizeRowsS8> quantize_rows_s8{"quantize_rows_s8"};
  Kernel<QuantizeBackward> quantize_backward{"quantize_backward"};

  Kernel<UnaryForward> unary_forward{"unary_forward"};
  Kernel<UnaryBackward> unary_backward{"unary_backward"};
  Kernel<BinaryForward> binary_forward{"binary_forward"};
  Kernel<ScaleF32> scale_f32{"scale_f32"};
  Kernel<ScaleByF32> scale_by_f32{"scale_by_f32"};
  Kernel<FillF32> fill_f32{"fill_f32"};
  Kernel<FillUniform> fill_uniform{"fill_uniform"};
  Kernel<CopyMatrix> copy_matrix{"copy_matrix"};
  Kernel<DropoutApply> dropout{"dropout"};

  Kernel<SumRows> sum_rows{"sum_rows"};
  Kernel<SumAll> sum_all{"sum_all"};
  Kernel<MeanAbsRows> mean_abs_rows{"mean_abs_rows"};
  Kernel<MeanAbsRowsBackward> mean_abs_rows_backward{"mean_abs_rows_backward"};
  Kernel<SumsOfSquares> sums_of_squares{"sums_of_squares"};

  Kernel<BatchNormStatistics> batch_norm_statistics{"batch_norm_statistics"};
  Kernel<BatchNormTrainBackward> batch_norm_train_backward{"batch_norm_train_backward"};
  Kernel<BatchNormUpdateRunning> batch_norm_update_running{"batch_norm_update_running"};
  Kernel<BatchNormRunningInverseStd> batch_norm_running_inverse_std{"batch_norm_running_inverse_std"};
  Kernel<BatchNormEval> batch_norm_eval{"batch_norm_eval"};
  Kernel<BatchNormSigns> batch_norm_signs{"batch_norm_signs"};

  Kernel<SoftmaxCrossEntropyForward> softmax_cross_entropy_forward{"softmax_cross_entropy_forward"};
  Kernel<SoftmaxCrossEntropyBackward> softmax_cross_entropy_backward{"softmax_cross_entropy_backward"};
  Kernel<SquaredHingeForward> squared_hinge_forward{"squared_hinge_forward"};
  Kernel<SquaredHingeBackward> squared_hinge_backward{"squared_hinge_backward"};
  Kernel<SquaredErrorForward> squared_error_forward{"squared_error_forward"};
  Kernel<SquaredErrorBackward> squared_error_backward{"squared_error_backward"};
  Kernel<CountErrors> count_errors{"count_errors"};

  Kernel<PrepareStep> prepare_step{"prepare_step"};
  Kernel<SgdStep> sgd_step{"sgd_step"};
  Kernel<AdamStep> adam_step{"adam_step"};
  Kernel<AdaMaxStep> adamax_step{"adamax_step"};
};

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_KERNELS_H_
