// The CPU's table of kernels.

#ifndef BITGRAD_OPS_CPU_CPU_KERNELS_H_
#define BITGRAD_OPS_CPU_CPU_KERNELS_H_

#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad {

const Kernels& CpuKernels();

// Whether this machine has an instruction that counts the ones in each word of a vector (VPOPCNTQ).
bool CpuCountsWords();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CPU_CPU_KERNELS_H_
