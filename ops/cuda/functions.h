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

#define BITGRAD_DECLARE_KERNEL(Contract, name) bitgrad::Contract Contract;
BITGRAD_KERNELS(BITGRAD_DECLARE_KERNEL)
#undef BITGRAD_DECLARE_KERNEL

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_FUNCTIONS_H_
