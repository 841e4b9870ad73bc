#include "ops/dispatch.h"

#include "ops/cpu/cpu_kernels.h"
#include "ops/cuda/cuda_kernels.h"

namespace bitgrad {

const Kernels& KernelsFor(Device device) {
  return device == Device::kCpu ? CpuKernels() : CudaKernels();
}

absl::Status DeviceStatus(Device device) {
  return device == Device::kCpu ? absl::OkStatus() : CudaStatus();
}

bool CountsWords(Device device) { return device == Device::kCpu && CpuCountsWords(); }

}  // namespace bitgrad
