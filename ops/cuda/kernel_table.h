// The GPU's table of kernels.

#ifndef BITGRAD_OPS_CUDA_KERNEL_TABLE_H_
#define BITGRAD_OPS_CUDA_KERNEL_TABLE_H_

#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad {

namespace cuda {
const Kernels& CudaKernels();
}

// The same kernels, compiled for the tests' emulator.
namespace cuda_emulated {
const Kernels& CudaKernels();
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_KERNEL_TABLE_H_
