// Nets that were quantized after training as C: integers and shifts alone, equal to the interpreter to the last bit.

#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/export/c_code/c_source.h"
#include "bitgrad/tests/export/c_source_testing.h"
#include "bitgrad/tests/export/quantize_net_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

class CSourceFixedPointTest : public testing::TestWithParam<std::tuple<Kind, int>> {};

TEST_P(CSourceFixedPointTest, HasNoFloatsAndReplaysTheGoldenVectors) {
  const auto [kind, bits] = GetParam();
  const Quantized net(kind, bits, /*calibration=*/10);
  ASSERT_NE(net.packed, nullptr);
  const CSource source = ExportedC(*net.packed);
  ExpectNoFloats(source);
  EXPECT_TRUE(absl::StrContains(source.header, "NET_FRACTION_BITS")) << source.header;
  EXPECT_FALSE(absl::StrContains(source.test, "TOLERANCE"));
  EXPECT_EQ(CompileAndRun(source, absl::StrCat(kStrict, " -O1 -fsanitize=undefined -fno-sanitize-recover")), 0);
}

INSTANTIATE_TEST_SUITE_P(Nets, CSourceFixedPointTest,
                         testing::Combine(testing::Values(Kind::kVgg, Kind::kResNet, Kind::kBranches),
                                          testing::Values(8, 5)));

}  // namespace
}  // namespace bitgrad
