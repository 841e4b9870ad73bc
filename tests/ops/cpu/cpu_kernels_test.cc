#include "bitgrad/ops/cpu/cpu_kernels.h"

#include <cstring>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// The table is an array of {name, function} pairs, whatever the functions' types, so a test can look at all of them.
struct Entry {
  const char* name;
  void (*function)();
};
static_assert(sizeof(Kernels) % sizeof(Entry) == 0);
static_assert(sizeof(Kernel<GemmF32>) == sizeof(Entry));

TEST(CpuKernelsTest, HasEveryKernel) {
  std::set<std::string> names;
  for (size_t offset = 0; offset < sizeof(Kernels); offset += sizeof(Entry)) {
    Entry entry;
    std::memcpy(&entry, reinterpret_cast<const char*>(&CpuKernels()) + offset, sizeof(entry));
    EXPECT_NE(entry.function, nullptr) << entry.name;
    EXPECT_TRUE(names.insert(entry.name).second) << "two kernels named " << entry.name;
  }
  EXPECT_EQ(names.size(), sizeof(Kernels) / sizeof(Entry));
}

TEST(CpuKernelsTest, MissingKernelIsAnErrorThatNamesIt) {
  const Kernels empty;
  ExecContext context;
  empty.fill_f32(context, 0.0f, nullptr, 0);
  EXPECT_EQ(context.status().message(), "kernel 'fill_f32' does not exist on cpu");
}

}  // namespace
}  // namespace bitgrad
