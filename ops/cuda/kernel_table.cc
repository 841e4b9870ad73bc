#include "bitgrad/ops/cuda/kernel_table.h"

#include "bitgrad/ops/cuda/functions.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

Kernels MakeKernels() {
  Kernels kernels;
#define BITGRAD_REGISTER_KERNEL(Contract, name) kernels.name.function = Contract;
  BITGRAD_KERNELS(BITGRAD_REGISTER_KERNEL)
#undef BITGRAD_REGISTER_KERNEL
  return kernels;
}

}  // namespace

const Kernels& CudaKernels() {
  static const Kernels* const kKernels = new Kernels(MakeKernels());
  return *kKernels;
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
