#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {

// The emulator has taken the place of the GPU (ops/cuda:emulated_backend).
std::vector<Place> Places() {
  return {{.name = "Emulator",
           .device = Device::kCuda,
           .kernels = &KernelsFor(Device::kCuda),
           .status = DeviceStatus(Device::kCuda),
           .slow = true,
           .enter = [] {}}};
}

}  // namespace bitgrad
