// What the devices lack of the list of kernels.

#include <string>
#include <vector>

#include "bitgrad/ops/dispatch.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

std::vector<std::string> Missing(const Kernels& kernels) {
  std::vector<std::string> names;
#define BITGRAD_ADD_IF_MISSING(Contract, name) \
  if (kernels.name.function == nullptr) names.push_back(#name);
  BITGRAD_KERNELS(BITGRAD_ADD_IF_MISSING)
#undef BITGRAD_ADD_IF_MISSING
  return names;
}

TEST(TableTest, LacksNothing) {
  EXPECT_EQ(Missing(KernelsFor(Device::kCpu)), std::vector<std::string>());
  const std::vector<std::string> missing = Missing(KernelsFor(Device::kCuda));
  if (missing == Missing(Kernels())) {
    GTEST_SKIP() << DeviceStatus(Device::kCuda).message();  // The stub has none at all.
  }
  EXPECT_EQ(missing, std::vector<std::string>());
}

}  // namespace
}  // namespace bitgrad
