#include "bitgrad/ops/cpu/cpu_kernels.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "hwy/highway.h"

namespace bitgrad {

// Each instruction set that was compiled and that the machine has.
std::vector<Place> Places() {
  std::vector<Place> places;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    places.push_back({.name = hwy::TargetName(target),
                      .device = Device::kCpu,
                      .kernels = &CpuKernels(),
                      .status = absl::OkStatus(),
                      .slow = false,
                      .enter = [target] { hwy::SetSupportedTargetsForTest(target); }});
  }
  return places;
}

}  // namespace bitgrad
