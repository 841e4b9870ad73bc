#include "bitgrad/ops/cpu/cpu_kernels.h"

#include "bitgrad/ops/cpu/functions.h"

namespace bitgrad {
namespace {

Kernels MakeCpuKernels() {
  Kernels kernels;
#define BITGRAD_REGISTER_KERNEL(Contract, name) kernels.name.function = cpu::Contract;
  BITGRAD_KERNELS(BITGRAD_REGISTER_KERNEL)
#undef BITGRAD_REGISTER_KERNEL
  return kernels;
}

}  // namespace

const Kernels& CpuKernels() {
  static const Kernels kernels = MakeCpuKernels();
  return kernels;
}

}  // namespace bitgrad
