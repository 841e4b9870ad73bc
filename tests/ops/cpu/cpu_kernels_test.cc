#include "bitgrad/ops/cpu/cpu_kernels.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(CpuKernelsTest, HasEveryKernel) {
  std::set<std::string> names;
#define BITGRAD_CHECK_KERNEL(Contract, kernel)                 \
  EXPECT_NE(CpuKernels().kernel.function, nullptr) << #kernel; \
  EXPECT_EQ(std::string(CpuKernels().kernel.name), #kernel);   \
  EXPECT_TRUE(names.insert(CpuKernels().kernel.name).second) << "two kernels " << #kernel;
  BITGRAD_KERNELS(BITGRAD_CHECK_KERNEL)
#undef BITGRAD_CHECK_KERNEL
  EXPECT_GT(names.size(), 50u);
}

TEST(CpuKernelsTest, MissingKernelIsAnErrorThatNamesIt) {
  const Kernels empty;
  ExecContext context;
  empty.fill_f32(context, 0.0f, nullptr, 0);
  EXPECT_EQ(context.status().message(), "kernel 'fill_f32' does not exist on cpu");
}

}  // namespace
}  // namespace bitgrad
