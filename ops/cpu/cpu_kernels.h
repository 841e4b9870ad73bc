// The CPU's kernels.

#ifndef BITGRAD_OPS_CPU_CPU_KERNELS_H_
#define BITGRAD_OPS_CPU_CPU_KERNELS_H_

#include "ops/kernels/kernels.h"

namespace bitgrad {

const Kernels& CpuKernels();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CPU_CPU_KERNELS_H_
