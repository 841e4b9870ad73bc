#include "bitgrad/ops/dispatch.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/cpu/cpu_kernels.h"
#include "bitgrad/ops/cuda/cuda_backend.h"

namespace bitgrad {

const Kernels& KernelsFor(Device device) { return device == Device::kCpu ? CpuKernels() : TheCudaBackend().kernels(); }

absl::StatusOr<Device> ParseDevice(absl::string_view name) {
  for (const Device device : {Device::kCpu, Device::kCuda}) {
    if (name == Name(device)) return device;
  }
  return absl::InvalidArgumentError(absl::StrCat("--device=", name, ": it is cpu or cuda"));
}

absl::Status DeviceStatus(Device device) {
  return device == Device::kCpu ? absl::OkStatus() : TheCudaBackend().status();
}

bool CountsWords(Device device) { return device == Device::kCpu && CpuCountsWords(); }

}  // namespace bitgrad
