// Which of the CPU's kernels the GPU lacks.

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "bitgrad/ops/dispatch.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// A table consists of kernels, one after the other, and of nothing else.
using AnyKernel = Kernel<FillF32>;
static_assert(sizeof(Kernels) % sizeof(AnyKernel) == 0);

std::vector<std::string> Missing(const Kernels& kernels) {
  std::vector<std::string> names;
  for (size_t i = 0; i < sizeof(Kernels) / sizeof(AnyKernel); ++i) {
    AnyKernel kernel{""};
    std::memcpy(static_cast<void*>(&kernel), reinterpret_cast<const char*>(&kernels) + i * sizeof(AnyKernel),
                sizeof(AnyKernel));
    if (kernel.function == nullptr) names.push_back(kernel.name);
  }
  return names;
}

TEST(CudaTableTest, LacksNothing) {
  EXPECT_EQ(Missing(KernelsFor(Device::kCpu)), std::vector<std::string>());
  const std::vector<std::string> missing = Missing(KernelsFor(Device::kCuda));
  if (missing.size() == sizeof(Kernels) / sizeof(AnyKernel)) {
    GTEST_SKIP() << DeviceStatus(Device::kCuda).message();  // the stub has no kernels at all
  }
  EXPECT_EQ(missing, std::vector<std::string>());
}

}  // namespace
}  // namespace bitgrad
