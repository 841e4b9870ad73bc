// The mean and the largest magnitude of a matrix, or of each of its rows.

#ifndef BITGRAD_OPS_CUDA_MAGNITUDES_H_
#define BITGRAD_OPS_CUDA_MAGNITUDES_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// mean[0], or mean[i] for each row, = the mean |x|; 0 without elements.
void MeanMagnitudes(ExecContext& context, Granularity granularity, ConstMatrixView<float> x, float* mean);

// largest[0], or largest[i] for each row, = max |x|; 0 without elements. NaNs are ignored.
void LargestMagnitudes(ExecContext& context, Granularity granularity, ConstMatrixView<float> x, float* largest);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_MAGNITUDES_H_
