// SGD of one tensor in arithmetic of low precision: SgdStep of a tensor that rounds (ops/kernels/optimizer_step.h).

#ifndef BITGRAD_OPS_CUDA_ROUNDED_SGD_H_
#define BITGRAD_OPS_CUDA_ROUNDED_SGD_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/optimizer_step.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Adds to *counts, which PrepareStep has set to 0.
void RoundedSgd(ExecContext& context, const RuleNumbers* numbers, const StepScalars* scalars, const StepTensor& tensor,
                StepCounts* counts);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_ROUNDED_SGD_H_
