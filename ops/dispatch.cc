#include "ops/dispatch.h"

#include "ops/cpu/cpu_kernels.h"
#include "ops/cuda/cuda_backend.h"

namespace bitgrad {

const Kernels& KernelsFor(Device device) {
  return device == Device::kCpu ? CpuKernels() : TheCudaBackend().kernels();
}

absl::Status DeviceStatus(Device device) {
  return device == Device::kCpu ? absl::OkStatus() : TheCudaBackend().status();
}

bool CountsWords(Device device) { return device == Device::kCpu && CpuCountsWords(); }

}  // namespace bitgrad
