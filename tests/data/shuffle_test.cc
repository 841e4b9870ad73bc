#include "bitgrad/data/shuffle.h"

#include <algorithm>
#include <numeric>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(ShuffledOrderTest, IsAPermutationOfTheRange) {
  for (const int64_t size : {0, 1, 2, 3, 100, 1001}) {
    std::vector<int64_t> order = ShuffledOrder({50, 50 + size}, 1, 0);
    std::sort(order.begin(), order.end());
    std::vector<int64_t> expected(size);
    std::iota(expected.begin(), expected.end(), 50);
    EXPECT_EQ(order, expected) << size;
  }
}

TEST(ShuffledOrderTest, DependsOnSeedAndEpochAlone) {
  const std::vector<int64_t> order = ShuffledOrder({0, 1000}, 1, 5);
  EXPECT_EQ(order, ShuffledOrder({0, 1000}, 1, 5));
  EXPECT_NE(order, ShuffledOrder({0, 1000}, 1, 6));
  EXPECT_NE(order, ShuffledOrder({0, 1000}, 2, 5));
}

// Each of four values comes to each place equally often: 10,000 draws, expected 2,500, five
// standard deviations.
TEST(ShuffledOrderTest, IsUniform) {
  int counts[4][4] = {};
  for (int64_t epoch = 0; epoch < 10000; ++epoch) {
    const std::vector<int64_t> order = ShuffledOrder({0, 4}, 9, epoch);
    for (int i = 0; i < 4; ++i) ++counts[i][order[i]];
  }
  for (const auto& row : counts) {
    for (const int count : row) EXPECT_NEAR(count, 2500, 5 * 43.3);
  }
}

}  // namespace
}  // namespace bitgrad
