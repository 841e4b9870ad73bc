// SGD of one tensor in arithmetic of low precision: SgdStep of a tensor that rounds (ops/kernels/optimizer_step.h).

#ifndef BITGRAD_OPS_CPU_ROUNDED_SGD_H_
#define BITGRAD_OPS_CPU_ROUNDED_SGD_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/optimizer_step.h"

namespace bitgrad::cpu {

StepCounts RoundedSgd(ExecContext& context, const RuleNumbers& numbers, const StepScalars& scalars,
                      const StepTensor& tensor);

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_ROUNDED_SGD_H_
