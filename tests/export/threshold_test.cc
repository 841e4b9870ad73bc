// FindThresholds against a look at every sum.

#include "bitgrad/export/threshold.h"

#include <algorithm>
#include <random>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// One output's codes for the sums -limit .. limit.
using Codes = std::vector<uint8_t>;

absl::StatusOr<Thresholds> Find(const std::vector<Codes>& outputs, int levels, int32_t limit) {
  const size_t n = outputs.size();
  return FindThresholds(static_cast<int64_t>(n), levels, limit,
                        [&](absl::Span<const int32_t> sums, absl::Span<uint8_t> codes) {
                          EXPECT_EQ(sums.size(), n * static_cast<size_t>(levels));
                          EXPECT_EQ(codes.size(), sums.size());
                          for (size_t i = 0; i < sums.size(); ++i) {
                            EXPECT_GE(sums[i], -limit);
                            EXPECT_LE(sums[i], limit);
                            codes[i] = outputs[i % n].at(static_cast<size_t>(sums[i] + limit));
                          }
                          return absl::OkStatus();
                        });
}

void ExpectSame(const std::vector<Codes>& outputs, int levels, int32_t limit) {
  const auto found = Find(outputs, levels, limit);
  ASSERT_TRUE(found.ok()) << found.status();
  const size_t n = outputs.size();
  EXPECT_EQ(found->levels, levels);
  ASSERT_EQ(found->threshold.size(), n * static_cast<size_t>(levels));
  ASSERT_EQ(found->flip.size(), n);
  for (size_t j = 0; j < n; ++j) {
    for (int32_t sum = -limit; sum <= limit; ++sum) {
      int reached = 0;
      for (int l = 0; l < levels; ++l) reached += sum >= found->threshold[l * n + j];
      ASSERT_EQ(found->flip[j] ? levels - reached : reached, outputs[j][static_cast<size_t>(sum + limit)])
          << "output " << j << " sum " << sum << " limit " << limit << " levels " << levels;
    }
    for (int l = 1; l < levels; ++l) ASSERT_LE(found->threshold[(l - 1) * n + j], found->threshold[l * n + j]);
  }
}

// 0 up to `change` - 1, 1 from there, or the other way round.
Codes Step(int32_t limit, int32_t change, bool falling) {
  Codes codes;
  for (int32_t sum = -limit; sum <= limit; ++sum) codes.push_back((sum >= change) != falling);
  return codes;
}

TEST(FindThresholdsTest, EveryPlaceOfTheChangeRisingAndFalling) {
  for (const int32_t limit : {0, 1, 2, 3, 7, 8, 100}) {
    std::vector<Codes> outputs;
    // -limit: always 1; limit + 1: always 0; between them every change, the ends among them.
    for (int32_t change = -limit; change <= limit + 1; ++change) {
      outputs.push_back(Step(limit, change, false));
      outputs.push_back(Step(limit, change, true));
    }
    ExpectSame(outputs, 1, limit);
  }
}

TEST(FindThresholdsTest, OutputsDoNotDisturbEachOther) {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    const int32_t limit = static_cast<int32_t>(random() % 300);
    std::vector<Codes> outputs;
    for (int j = 0; j < 40; ++j) {
      const int32_t change = static_cast<int32_t>(random() % (2 * limit + 2)) - limit;
      outputs.push_back(Step(limit, change, random() % 2 == 0));
    }
    ExpectSame(outputs, 1, limit);
  }
}

// Codes of several levels, of which some sums skip some, and outputs that see few of them or one.
TEST(FindThresholdsTest, SeveralLevels) {
  std::mt19937 random(6);
  for (const int levels : {2, 3, 7, 15, 255}) {
    for (const int32_t limit : {0, 1, 5, 60, 300}) {
      std::vector<Codes> outputs;
      for (int j = 0; j < 40; ++j) {
        const int count = 2 * limit + 1;
        Codes codes;
        for (int i = 0; i < count; ++i) codes.push_back(static_cast<uint8_t>(random() % (levels + 1)));
        // Each level is rare, common, or never seen.
        if (j % 4 == 1) std::fill(codes.begin(), codes.end(), static_cast<uint8_t>(j / 4 % (levels + 1)));
        if (j % 4 == 2) std::fill(codes.begin() + count / 2, codes.end(), static_cast<uint8_t>(levels));
        std::sort(codes.begin(), codes.end());
        if (j % 2 == 0) std::reverse(codes.begin(), codes.end());
        outputs.push_back(codes);
      }
      ExpectSame(outputs, levels, limit);
    }
  }
}

// What is always the same needs no search, and what is always 0 is written as the negation of what is always reached.
TEST(FindThresholdsTest, ConstantOutputs) {
  const auto found = Find({{0, 0, 0}, {1, 1, 1}, {3, 3, 3}}, 3, 1);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->flip, (std::vector<uint8_t>{1, 0, 0}));
  EXPECT_EQ(found->threshold, (std::vector<int32_t>{INT32_MIN, INT32_MIN, INT32_MIN,  //
                                                    INT32_MIN, INT32_MAX, INT32_MIN,  //
                                                    INT32_MIN, INT32_MAX, INT32_MIN}));
}

TEST(FindThresholdsTest, TheLargestLimitTakesFewCalls) {
  const int32_t limit = 1 << 24;
  int calls = 0;
  const auto found = FindThresholds(3, 1, limit, [&](absl::Span<const int32_t> sums, absl::Span<uint8_t> bits) {
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
  const auto found = Find({}, 1, 5);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->threshold.empty());
}

TEST(FindThresholdsTest, TheErrorOfTheBitsIsReturned) {
  for (const int bad_call : {1, 2, 3}) {
    int calls = 0;
    const auto found = FindThresholds(1, 1, 100, [&](absl::Span<const int32_t> sums, absl::Span<uint8_t> bits) {
      bits[0] = sums[0] >= 7;
      return ++calls == bad_call ? absl::InternalError("no bits") : absl::OkStatus();
    });
    EXPECT_EQ(found.status(), absl::InternalError("no bits")) << bad_call;
  }
}

}  // namespace
}  // namespace bitgrad
