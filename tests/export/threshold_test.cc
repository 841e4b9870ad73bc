// FindThresholds against a look at every sum.

#include "bitgrad/export/threshold.h"

#include <random>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// One output's bits for the sums -limit .. limit.
using Bits = std::vector<uint8_t>;

absl::StatusOr<Thresholds> Find(const std::vector<Bits>& outputs, int32_t limit) {
  return FindThresholds(static_cast<int64_t>(outputs.size()), limit,
                        [&](absl::Span<const int32_t> sums, absl::Span<uint8_t> bits) {
                          for (size_t j = 0; j < outputs.size(); ++j) {
                            EXPECT_GE(sums[j], -limit);
                            EXPECT_LE(sums[j], limit);
                            bits[j] = outputs[j].at(static_cast<size_t>(sums[j] + limit));
                          }
                          return absl::OkStatus();
                        });
}

void ExpectSame(const std::vector<Bits>& outputs, int32_t limit) {
  const auto found = Find(outputs, limit);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->threshold.size(), outputs.size());
  ASSERT_EQ(found->flip.size(), outputs.size());
  for (size_t j = 0; j < outputs.size(); ++j) {
    for (int32_t sum = -limit; sum <= limit; ++sum) {
      ASSERT_EQ((sum >= found->threshold[j]) != (found->flip[j] != 0),
                outputs[j][static_cast<size_t>(sum + limit)] != 0)
          << "output " << j << " sum " << sum << " limit " << limit;
    }
  }
}

// 0 up to `change` - 1, 1 from there, or the other way round.
Bits Step(int32_t limit, int32_t change, bool falling) {
  Bits bits;
  for (int32_t sum = -limit; sum <= limit; ++sum) bits.push_back((sum >= change) != falling);
  return bits;
}

TEST(FindThresholdsTest, EveryPlaceOfTheChangeRisingAndFalling) {
  for (const int32_t limit : {0, 1, 2, 3, 7, 8, 100}) {
    std::vector<Bits> outputs;
    // -limit: always 1; limit + 1: always 0; between them every change, the ends among them.
    for (int32_t change = -limit; change <= limit + 1; ++change) {
      outputs.push_back(Step(limit, change, false));
      outputs.push_back(Step(limit, change, true));
    }
    ExpectSame(outputs, limit);
  }
}

TEST(FindThresholdsTest, OutputsDoNotDisturbEachOther) {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    const int32_t limit = static_cast<int32_t>(random() % 300);
    std::vector<Bits> outputs;
    for (int j = 0; j < 40; ++j) {
      const int32_t change = static_cast<int32_t>(random() % (2 * limit + 2)) - limit;
      outputs.push_back(Step(limit, change, random() % 2 == 0));
    }
    ExpectSame(outputs, limit);
  }
}

TEST(FindThresholdsTest, TheLargestLimitTakesFewCalls) {
  const int32_t limit = 1 << 24;
  int calls = 0;
  const auto found = FindThresholds(3, limit, [&](absl::Span<const int32_t> sums, absl::Span<uint8_t> bits) {
    ++calls;
    bits[0] = sums[0] >= limit;
    bits[1] = sums[1] < -limit + 1;
    bits[2] = sums[2] >= 12345;
    return absl::OkStatus();
  });
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->threshold, (std::vector<int32_t>{limit, -limit + 1, 12345}));
  EXPECT_EQ(found->flip, (std::vector<uint8_t>{0, 1, 0}));
  EXPECT_LE(calls, 2 + 26);
}

TEST(FindThresholdsTest, NoOutputs) {
  const auto found = Find({}, 5);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->threshold.empty());
}

TEST(FindThresholdsTest, TheErrorOfTheBitsIsReturned) {
  for (const int bad_call : {1, 2, 3}) {
    int calls = 0;
    const auto found = FindThresholds(1, 100, [&](absl::Span<const int32_t> sums, absl::Span<uint8_t> bits) {
      bits[0] = sums[0] >= 7;
      return ++calls == bad_call ? absl::InternalError("no bits") : absl::OkStatus();
    });
    EXPECT_EQ(found.status(), absl::InternalError("no bits")) << bad_call;
  }
}

}  // namespace
}  // namespace bitgrad
