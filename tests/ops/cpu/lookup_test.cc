#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using LookUpTest = CpuKernelTest;

TEST_P(LookUpTest, GivesTheTablesEntries) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  const std::vector<float> floats = RandomVector(random, 256);
  std::vector<uint8_t> codes(256);
  for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Below(256));
  for (const int64_t count : VectorSizes()) {
    SCOPED_TRACE(count);
    std::vector<uint8_t> x(count);
    for (uint8_t& byte : x) byte = static_cast<uint8_t>(random.Below(256));
    const std::vector<float> y = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> y(count + 1, -7.0f);
      kernels_.look_up_f32(context, floats.data(), x.data(), y.data(), count);
      return y;
    });
    const std::vector<uint8_t> c = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<uint8_t> c(count + 1, 7);
      kernels_.look_up_u8(context, codes.data(), x.data(), c.data(), count);
      return c;
    });
    for (int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(y[i], floats[x[i]]) << i;
      ASSERT_EQ(c[i], codes[x[i]]) << i;
    }
    EXPECT_EQ(y[count], -7.0f);
    EXPECT_EQ(c[count], 7);
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(LookUpTest);

}  // namespace
}  // namespace bitgrad
