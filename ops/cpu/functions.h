// The CPU's kernels, declared with the types of their contracts (ops/kernels/). Each is defined in one of the .cc files
// of this folder; cpu_kernels.cc puts them into the table.
//
// A file of this folder has two halves. The inner loops come first, in a namespace that Highway's foreach_target.h
// compiles once per instruction set (plain loops too, which the compiler vectorizes for each). The kernel itself
// follows under HWY_ONCE: it splits the work over threads and calls the loops' best version for the machine. The
// results of bitgrad's own loops depend neither on the instruction set nor on the number of threads; oneDNN's float
// GEMM (onednn_matmul.h, gemm.cc) and convolution (onednn_conv.h) may round differently for another number of threads.

#ifndef BITGRAD_OPS_CPU_FUNCTIONS_H_
#define BITGRAD_OPS_CPU_FUNCTIONS_H_

#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad::cpu {

#define BITGRAD_DECLARE_KERNEL(Contract, name) bitgrad::Contract Contract;
BITGRAD_KERNELS(BITGRAD_DECLARE_KERNEL)
#undef BITGRAD_DECLARE_KERNEL

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_FUNCTIONS_H_
