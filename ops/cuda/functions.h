// The GPU's kernels, declared with the types of their contracts (ops/kernels/). Each is defined in one of the .cu files
// of this folder (GemmF32 in cublas_gemm.cc); kernel_table.cc puts them into the table.
//
// A file of this folder has __global__ functions in an anonymous namespace. Below them are the functions of the
// contracts, which choose a launch shape and call Launch(). Each file is compiled twice: by nvcc, and for the tests'
// emulator (device.h). Products and sums are not contracted (--fmad=false), and divisions and roots are IEEE's: where
// the CPU evaluates the same expression, both get the same bits.

#ifndef BITGRAD_OPS_CUDA_FUNCTIONS_H_
#define BITGRAD_OPS_CUDA_FUNCTIONS_H_

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

bitgrad::GemmF32 GemmF32;
bitgrad::PackedGemmI32 PackedGemmI32;
bitgrad::PackedGemmF32 PackedGemmF32;
bitgrad::PackedGemmThreshold PackedGemmThreshold;

bitgrad::PlaneGemm PlaneGemm;
bitgrad::Int8Gemm Int8Gemm;

bitgrad::SignGemmF32 SignGemmF32;
bitgrad::SignGemmS8 SignGemmS8;

bitgrad::Conv2dF32 Conv2dF32;
bitgrad::Conv2dBackwardInputF32 Conv2dBackwardInputF32;
bitgrad::Conv2dBackwardWeightF32 Conv2dBackwardWeightF32;
bitgrad::PadImageF32 PadImageF32;

bitgrad::MaxPoolForward MaxPoolForward;
bitgrad::MaxPoolBackward MaxPoolBackward;
bitgrad::AveragePoolForward AveragePoolForward;
bitgrad::AveragePoolBackward AveragePoolBackward;
bitgrad::MaxPoolBits MaxPoolBits;
bitgrad::PackedConv2d PackedConv2d;
bitgrad::CodedConv2d CodedConv2d;

bitgrad::PackCodes PackCodes;
bitgrad::UnpackCodes UnpackCodes;
bitgrad::LookUpF32 LookUpF32;
bitgrad::LookUpU8 LookUpU8;
bitgrad::PackSigns PackSigns;
bitgrad::UnpackSigns UnpackSigns;
bitgrad::MaskByBits MaskByBits;
bitgrad::PackPlanes PackPlanes;
bitgrad::ThresholdToBits ThresholdToBits;
bitgrad::CountOnes CountOnes;

bitgrad::QuantizeStatistic QuantizeStatistic;
bitgrad::QuantizeCodes QuantizeCodes;
bitgrad::QuantizeValues QuantizeValues;
bitgrad::QuantizeBits QuantizeBits;
bitgrad::QuantizeRowsS8 QuantizeRowsS8;
bitgrad::QuantizeBackward QuantizeBackward;

bitgrad::UnaryForward UnaryForward;
bitgrad::UnaryBackward UnaryBackward;
bitgrad::BinaryForward BinaryForward;
bitgrad::ScaleF32 ScaleF32;
bitgrad::ScaleByF32 ScaleByF32;
bitgrad::FillF32 FillF32;
bitgrad::FillUniform FillUniform;
bitgrad::CopyMatrix CopyMatrix;
bitgrad::DropoutApply Dropout;

bitgrad::SumRows SumRows;
bitgrad::SumAll SumAll;
bitgrad::MeanAbsRows MeanAbsRows;
bitgrad::MeanAbsRowsBackward MeanAbsRowsBackward;
bitgrad::SumsOfSquares SumsOfSquares;

bitgrad::BatchNormStatistics BatchNormStatistics;
bitgrad::BatchNormTrainBackward BatchNormTrainBackward;
bitgrad::BatchNormUpdateRunning BatchNormUpdateRunning;
bitgrad::BatchNormRunningInverseStd BatchNormRunningInverseStd;
bitgrad::BatchNormEval BatchNormEval;
bitgrad::BatchNormSigns BatchNormSigns;

bitgrad::SoftmaxCrossEntropyForward SoftmaxCrossEntropyForward;
bitgrad::SoftmaxCrossEntropyBackward SoftmaxCrossEntropyBackward;
bitgrad::SquaredHingeForward SquaredHingeForward;
bitgrad::SquaredHingeBackward SquaredHingeBackward;
bitgrad::SquaredErrorForward SquaredErrorForward;
bitgrad::SquaredErrorBackward SquaredErrorBackward;
bitgrad::CountErrors CountErrors;

bitgrad::PrepareStep PrepareStep;
bitgrad::SgdStep SgdStep;
bitgrad::AdamStep AdamStep;
bitgrad::AdaMaxStep AdaMaxStep;

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_FUNCTIONS_H_
