#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {

std::vector<Place> Places() {
  return {{.name = "Gpu",
           .device = Device::kCuda,
           .kernels = &KernelsFor(Device::kCuda),
           .status = DeviceStatus(Device::kCuda),
           .slow = false,
           .enter = [] {}}};
}

}  // namespace bitgrad
