#include "bitgrad/data/iris.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/data/datasets.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// Pixels of a row: 30 times the length in cm.
std::array<int, 4> Tenths(const Dataset& data, int64_t row) {
  std::array<int, 4> tenths;
  for (int64_t i = 0; i < 4; ++i) {
    const uint8_t pixel = data.images.data<uint8_t>()[4 * row + i];
    EXPECT_EQ(pixel % 3, 0);
    tenths[static_cast<size_t>(i)] = pixel / 3;
  }
  return tenths;
}

TEST(IrisTest, EveryFifthRowTests) {
  const auto train = LoadDataset("iris", {}), test = LoadDataset("iris", {.split = Split::kTest});
  ASSERT_TRUE(train.ok() && test.ok()) << train.status() << test.status();
  EXPECT_EQ(train->images.shape(), Shape({120, 1, 4, 1}));
  EXPECT_EQ(test->images.shape(), Shape({30, 1, 4, 1}));
  EXPECT_EQ(train->class_names, (std::vector<std::string>{"setosa", "versicolor", "virginica"}));
  for (const auto* part : {&*train, &*test}) {
    std::array<int64_t, 3> counts = {};
    for (const int32_t label : part->labels.span<int32_t>()) ++counts[static_cast<size_t>(label)];
    const int64_t each = part == &*train ? 40 : 10;
    EXPECT_EQ(counts, (std::array<int64_t, 3>{each, each, each}));
  }
  const auto kind = KindOfDataset("iris", 0);
  ASSERT_TRUE(kind.ok());
  EXPECT_EQ(kind->image, train->image_shape());
  EXPECT_EQ(kind->classes, 3);
  EXPECT_EQ(LoadDataset("iris", {.limit = 7})->size(), 7);
}

// Sums of the four lengths, in mm, of the 50 rows of each species: the means that Fisher's table II gives
// (5.006, 3.428, 1.462, 0.246; 5.936, 2.770, 4.260, 1.326; 6.588, 2.974, 5.552, 2.026), times 500.
TEST(IrisTest, HasFishersMeans) {
  std::array<std::array<int, 4>, 3> sums = {};
  for (const Split split : {Split::kTrain, Split::kTest}) {
    const auto part = LoadDataset("iris", {.split = split});
    ASSERT_TRUE(part.ok());
    for (int64_t row = 0; row < part->size(); ++row) {
      const std::array<int, 4> tenths = Tenths(*part, row);
      for (size_t i = 0; i < 4; ++i) sums[static_cast<size_t>(part->labels.data<int32_t>()[row])][i] += tenths[i];
    }
  }
  const std::array<std::array<int, 4>, 3> fisher = {
      {{2503, 1714, 731, 123}, {2968, 1385, 2130, 663}, {3294, 1487, 2776, 1013}}};
  EXPECT_EQ(sums, fisher);
}

// The rows in which the UCI repository's copy differs from the paper: 35, which tests, and 38.
TEST(IrisTest, IsThePapersVariant) {
  const auto train = LoadDataset("iris", {}), test = LoadDataset("iris", {.split = Split::kTest});
  ASSERT_TRUE(train.ok() && test.ok());
  EXPECT_EQ(Tenths(*test, 35 / 5 - 1), (std::array<int, 4>{49, 31, 15, 2}));
  EXPECT_EQ(Tenths(*train, 37 - 37 / 5), (std::array<int, 4>{49, 36, 14, 1}));
  EXPECT_EQ(Tenths(*train, 0), (std::array<int, 4>{51, 35, 14, 2}));
  EXPECT_EQ(Tenths(*test, 29), (std::array<int, 4>{59, 30, 51, 18}));
}

}  // namespace
}  // namespace bitgrad
