// The CPU's kernels.

#ifndef BITGRAD_OPS_CPU_CPU_KERNELS_H_
#define BITGRAD_OPS_CPU_CPU_KERNELS_H_

#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad {

const Kernels& CpuKernels();

// Whether this machine counts the ones of a vector's words in one instruction (VPOPCNTQ).
bool CpuCountsWords();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CPU_CPU_KERNELS_H_
