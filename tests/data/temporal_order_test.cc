#include "bitgrad/data/temporal_order.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "bitgrad/data/datasets.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// The checksum (FNV-1a, 64 bits) of the first 100 training sequences' symbols with seed 1.
constexpr uint64_t kChecksum = 8638812814444167008u;

TEST(TemporalOrderTest, TheClassIsTheOrderOfTheTwoMarkedSymbols) {
  std::set<int64_t> places[2];
  for (int64_t i = 0; i < 400; ++i) {
    const auto symbols = TemporalOrderSymbols(1, Split::kTrain, i);
    std::vector<uint8_t> marked;
    for (int64_t step = 0; step < kTemporalOrderSteps; ++step) {
      const bool is_marked = symbols[step] >= kSymbolX;
      EXPECT_EQ(symbols[step] == 0, step == 0);
      EXPECT_EQ(symbols[step] == 1, step == kTemporalOrderSteps - 1);
      EXPECT_LT(symbols[step], kTemporalOrderSymbols);
      if (!is_marked) continue;
      ASSERT_LT(marked.size(), 2u);
      places[marked.size()].insert(step);
      marked.push_back(symbols[step]);
    }
    ASSERT_EQ(marked.size(), 2u);
    EXPECT_EQ(2 * (marked[0] == kSymbolY) + (marked[1] == kSymbolY), TemporalOrderLabel(i)) << i;
  }
  EXPECT_EQ(places[0], (std::set<int64_t>{2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(places[1], (std::set<int64_t>{16, 17, 18, 19, 20, 21}));
}

TEST(TemporalOrderTest, AnImageHasARowForEachStep) {
  const auto train = LoadDataset("temporal_order", {.seed = 3});
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->images.shape(), Shape({20000, 30, 8, 1}));
  EXPECT_EQ(train->class_names.size(), 4u);
  const auto symbols = TemporalOrderSymbols(3, Split::kTrain, 17);
  const uint8_t* pixels = train->images.data<uint8_t>() + 17 * 30 * 8;
  for (int64_t step = 0; step < 30; ++step) {
    for (int64_t symbol = 0; symbol < 8; ++symbol) {
      EXPECT_EQ(pixels[step * 8 + symbol], symbols[step] == symbol ? 255 : 0);
    }
  }
  EXPECT_EQ(train->labels.data<int32_t>()[17], 1);
  const auto test = LoadDataset("temporal_order", {.split = Split::kTest, .limit = 5});
  ASSERT_TRUE(test.ok()) << test.status();
  EXPECT_EQ(test->size(), 5);
  const auto kind = KindOfDataset("temporal_order", 0);
  ASSERT_TRUE(kind.ok());
  EXPECT_EQ(kind->image, train->image_shape());
  EXPECT_EQ(kind->classes, train->num_classes);
}

TEST(TemporalOrderTest, SeedAndSplitMatter) {
  const auto symbols = TemporalOrderSymbols(1, Split::kTrain, 4);
  EXPECT_NE(symbols, TemporalOrderSymbols(2, Split::kTrain, 4));
  EXPECT_NE(symbols, TemporalOrderSymbols(1, Split::kTest, 4));
  EXPECT_NE(symbols, TemporalOrderSymbols(1, Split::kTrain, 8));
}

TEST(TemporalOrderTest, SymbolsAreTheSameOnEveryMachine) {
  uint64_t hash = 0xcbf29ce484222325;
  for (int64_t i = 0; i < 100; ++i) {
    for (const uint8_t symbol : TemporalOrderSymbols(1, Split::kTrain, i)) hash = (hash ^ symbol) * 0x100000001b3;
  }
  EXPECT_EQ(hash, kChecksum);
}

}  // namespace
}  // namespace bitgrad
