// BITGRAD_KERNELS: the list of all kernels, and struct Kernels, the table of one device's: all that a device computes.
//
// Everything that has to name every kernel is made from the list: the members of struct Kernels, the declarations of
// the functions of each device (ops/cpu/functions.h, ops/cuda/functions.h) and their entries in its table
// (ops/cpu/cpu_kernels.cc, ops/cuda/kernel_table.cc).

#ifndef BITGRAD_OPS_KERNELS_KERNELS_H_
#define BITGRAD_OPS_KERNELS_KERNELS_H_

#include "bitgrad/ops/kernels/batch_norm.h"
#include "bitgrad/ops/kernels/bitpack.h"
#include "bitgrad/ops/kernels/code_table.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/elementwise.h"
#include "bitgrad/ops/kernels/embedding.h"
#include "bitgrad/ops/kernels/gemm.h"
#include "bitgrad/ops/kernels/kernel.h"
#include "bitgrad/ops/kernels/lookup.h"
#include "bitgrad/ops/kernels/losses.h"
#include "bitgrad/ops/kernels/optimizer_step.h"
#include "bitgrad/ops/kernels/packed_gemm.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/ops/kernels/quantize.h"
#include "bitgrad/ops/kernels/reduce.h"
#include "bitgrad/ops/kernels/round_numbers.h"
#include "bitgrad/ops/kernels/scale_penalty.h"
#include "bitgrad/ops/kernels/shift_channels.h"
#include "bitgrad/ops/kernels/shift_codes.h"
#include "bitgrad/ops/kernels/shift_product.h"
#include "bitgrad/ops/kernels/sign_gemm.h"
#include "bitgrad/ops/kernels/spline.h"
#include "bitgrad/ops/kernels/tap_attention.h"

// X(Contract, name) for each kernel: the type of its contract, which is also the name of the function that a device
// computes it with, and its name in the table and in messages.
//
// clang-format off
#define BITGRAD_KERNELS(X)                                       \
  X(GemmF32, gemm_f32)                                           \
  X(PackedGemm, packed_gemm)                                     \
  X(PlaneGemm, plane_gemm)                                       \
  X(Int8Gemm, int8_gemm)                                         \
  X(SignGemmF32, sign_gemm_f32)                                  \
  X(SignGemmS8, sign_gemm_s8)                                    \
  X(Conv2dF32, conv2d_f32)                                       \
  X(Conv2dBackwardInputF32, conv2d_backward_input_f32)           \
  X(Conv2dBackwardWeightF32, conv2d_backward_weight_f32)         \
  X(PadImageF32, pad_image_f32)                                  \
  X(PackedConv2d, packed_conv2d)                                 \
  X(CodedConv2d, coded_conv2d)                                   \
  X(ArrangeShiftFilters, arrange_shift_filters)                  \
  X(ShiftProduct, shift_product)                                 \
  X(ShiftAdd, shift_add)                                         \
  X(ShiftCodes, shift_codes)                                     \
  X(ShiftAverage, shift_average)                                 \
  X(FixedPointCodes, fixed_point_codes)                          \
  X(MaxPoolForward, max_pool_forward)                            \
  X(MaxPoolBackward, max_pool_backward)                          \
  X(AveragePoolForward, average_pool_forward)                    \
  X(AveragePoolBackward, average_pool_backward)                  \
  X(MaxPoolBits, max_pool_bits)                                  \
  X(MaxPoolCodes, max_pool_codes)                                \
  X(AveragePoolCodes, average_pool_codes)                        \
  X(PackCodes, pack_codes)                                       \
  X(UnpackCodes, unpack_codes)                                   \
  X(LookUpF32, look_up_f32)                                      \
  X(LookUpU8, look_up_u8)                                        \
  X(LookUpChannels, look_up_channels)                            \
  X(GatherCodes, gather_codes)                                   \
  X(GatherBits, gather_bits)                                     \
  X(PackSigns, pack_signs)                                       \
  X(UnpackSigns, unpack_signs)                                   \
  X(MaskByBits, mask_by_bits)                                    \
  X(PackPlanes, pack_planes)                                     \
  X(CountOnes, count_ones)                                       \
  X(QuantizeStatistic, quantize_statistic)                       \
  X(QuantizeCodes, quantize_codes)                               \
  X(QuantizeValues, quantize_values)                             \
  X(QuantizeBits, quantize_bits)                                 \
  X(QuantizeRowsS8, quantize_rows_s8)                            \
  X(QuantizeBackward, quantize_backward)                         \
  X(QuantizeScale, quantize_scale)                               \
  X(QuantizeInitialValue, quantize_initial_value)                \
  X(TrackStatistic, track_statistic)                             \
  X(QuantizeStatisticBackward, quantize_statistic_backward)      \
  X(CombineScales, combine_scales)                               \
  X(UnaryForward, unary_forward)                                 \
  X(UnaryBackward, unary_backward)                               \
  X(BinaryForward, binary_forward)                               \
  X(ScaleF32, scale_f32)                                         \
  X(ScaleRows, scale_rows)                                       \
  X(ScaleColumns, scale_columns)                                 \
  X(RoundToPowers, round_to_powers)                              \
  X(FillF32, fill_f32)                                           \
  X(WriteBytes, write_bytes)                                     \
  X(CopyMatrix, copy_matrix)                                     \
  X(DropoutApply, dropout)                                       \
  X(EmbeddingForward, embedding_forward)                         \
  X(EmbeddingBackward, embedding_backward)                       \
  X(AddToRows, add_to_rows)                                      \
  X(SumRows, sum_rows)                                           \
  X(SumAll, sum_all)                                             \
  X(SumsOfSquares, sums_of_squares)                              \
  X(SplineForward, spline_forward)                               \
  X(SplineBackward, spline_backward)                             \
  X(SplineBackwardInput, spline_backward_input)                  \
  X(SplineLinearTermForward, spline_linear_term_forward)         \
  X(SplineLinearTermBackward, spline_linear_term_backward)       \
  X(SparsifySplines, sparsify_splines)                           \
  X(SplinePenaltyForward, spline_penalty_forward)                \
  X(SplinePenaltyBackward, spline_penalty_backward)              \
  X(TapProbabilities, tap_probabilities)                         \
  X(TapAttentionBackward, tap_attention_backward)                \
  X(KeptTaps, kept_taps)                                         \
  X(KeepTaps, keep_taps)                                         \
  X(KeepTapsBackward, keep_taps_backward)                        \
  X(KeepTapCodes, keep_tap_codes)                                \
  X(ShiftChannelsForward, shift_channels_forward)                \
  X(ShiftChannelsBackward, shift_channels_backward)              \
  X(ScalePenaltyForward, scale_penalty_forward)                  \
  X(ScalePenaltyBackward, scale_penalty_backward)                \
  X(BatchNormStatistics, batch_norm_statistics)                  \
  X(BatchNormTrainBackward, batch_norm_train_backward)           \
  X(BatchNormUpdateRunning, batch_norm_update_running)           \
  X(BatchNormRunningInverseStd, batch_norm_running_inverse_std)  \
  X(BatchNormEval, batch_norm_eval)                              \
  X(BatchNormSigns, batch_norm_signs)                            \
  X(SoftmaxCrossEntropyForward, softmax_cross_entropy_forward)   \
  X(SoftmaxCrossEntropyBackward, softmax_cross_entropy_backward) \
  X(SquaredHingeForward, squared_hinge_forward)                  \
  X(SquaredHingeBackward, squared_hinge_backward)                \
  X(SquaredErrorForward, squared_error_forward)                  \
  X(SquaredErrorBackward, squared_error_backward)                \
  X(CountErrors, count_errors)                                   \
  X(PrepareStep, prepare_step)                                   \
  X(SgdStep, sgd_step)                                           \
  X(SgdRowsStep, sgd_rows_step)                                  \
  X(AdamStep, adam_step)                                         \
  X(AdaMaxStep, adamax_step)                                     \
  X(ShiftAdaMaxStep, shift_adamax_step)                          \
  X(BopStep, bop_step)                                           \
  X(LimitRowNorms, limit_row_norms)                              \
  X(RoundNumbers, round_numbers)                                 \
  X(ControlRanges, control_ranges)
// clang-format on

namespace bitgrad {

struct Kernels {
#define BITGRAD_KERNEL_MEMBER(Contract, name) Kernel<Contract> name{#name};
  BITGRAD_KERNELS(BITGRAD_KERNEL_MEMBER)
#undef BITGRAD_KERNEL_MEMBER
};

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_KERNELS_H_
