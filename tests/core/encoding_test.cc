#include "bitgrad/core/encoding.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr Encoding kFloat = {};
constexpr Encoding kBinary = {EncodingKind::kBinary, 1};
constexpr Encoding kTernary = {EncodingKind::kTernary, 2};
constexpr Encoding kPixels = {EncodingKind::kSymmetric, 8};
constexpr Encoding kUnsigned2 = {EncodingKind::kUnsigned, 2};
constexpr Encoding Log(int bits) { return {EncodingKind::kLog, bits}; }
constexpr Encoding LogNonzero(int bits) { return {EncodingKind::kLogNonzero, bits}; }

TEST(EncodingTest, LargestCodes) {
  EXPECT_FALSE(kFloat.is_integer());
  EXPECT_EQ(kBinary.max_code(), 1);
  EXPECT_EQ(kTernary.max_code(), 1);
  EXPECT_EQ(kPixels.max_code(), 255);
  EXPECT_EQ(kUnsigned2.max_code(), 3);
  EXPECT_EQ(Log(3).max_code(), 4);
  EXPECT_EQ(Log(4).max_code(), 64);
  EXPECT_EQ(Log(7).max_code(), int64_t{1} << 62);
  EXPECT_EQ(LogNonzero(2).max_code(), 2);
  EXPECT_EQ(LogNonzero(4).max_code(), 128);
  EXPECT_EQ(LogNonzero(6).max_code(), int64_t{1} << 31);
}

// What is stored ascends with the code, from the least to the largest one, and gives it back.
TEST(EncodingTest, StoredCodes) {
  for (const Encoding& encoding : {kBinary, kTernary, kPixels, kUnsigned2, Encoding{EncodingKind::kSigned, 3},
                                   Encoding{EncodingKind::kTwosComplement, 3}, Log(3), Log(4), Log(7), LogNonzero(2),
                                   LogNonzero(3), LogNonzero(6)}) {
    SCOPED_TRACE(testing::Message() << Name(encoding.kind) << encoding.bits);
    const int64_t largest = encoding.largest_stored();
    EXPECT_LT(largest, int64_t{1} << encoding.bits);
    EXPECT_EQ(encoding.code(0), encoding.least_code());
    EXPECT_EQ(std::max(encoding.code(largest), -encoding.code(0)), encoding.max_code());
    for (int64_t c = 0; c <= largest; ++c) {
      EXPECT_EQ(encoding.stored(encoding.code(c)), c);
      if (c > 0) {
        EXPECT_LT(encoding.code(c - 1), encoding.code(c));
      }
    }
  }
  EXPECT_EQ(Log(4).largest_stored(), 14);
  EXPECT_EQ(LogNonzero(4).largest_stored(), 15);
}

TEST(EncodingTest, LogarithmicCodesAreIntegersAtUnequalDistances) {
  for (const Encoding& log : {Log(4), LogNonzero(4)}) {
    EXPECT_TRUE(log.is_integer() && log.is_log() && log.is_power_of_two() && !log.is_affine());
  }
  const Encoding power = {EncodingKind::kPowerOfTwo, 4};
  EXPECT_TRUE(!power.is_integer() && power.is_power_of_two() && !power.is_affine());
  EXPECT_TRUE(kPixels.is_affine() && !kPixels.is_power_of_two());
}

// Ranks ascend with their codes, and the forms of a code agree.
TEST(EncodingTest, RanksOfLogarithmicCodes) {
  const int largest = LogCodes(7, true).largest_rank();
  for (int rank = -largest; rank <= largest; ++rank) {
    EXPECT_EQ(RankOfFloat(FloatOfRank(rank)), rank);
    EXPECT_EQ(FloatOfRank(rank), static_cast<float>(CodeOfRank(rank)));
    if (rank < largest) {
      EXPECT_LT(CodeOfRank(rank), CodeOfRank(rank + 1));
    }
  }
  EXPECT_EQ(LogCodes(4, true).largest_rank(), 7);
  EXPECT_EQ(LogCodes(4, false).largest_rank(), 8);
  EXPECT_EQ(CodeOfRank(-3), -4);
  EXPECT_EQ(CodeOfRank(0), 0);
  EXPECT_EQ(RankOfFloat(-0.0f), 0);
  EXPECT_EQ(RankOfFloat(0.75f), 0);
  EXPECT_EQ(RankOfFloat(-3.0f), -2);
}

// All codes of few bits: -2, -1, 1, 2 and those with a zero.
TEST(EncodingTest, LogarithmicCodesOfFewBits) {
  const auto codes = [](const Encoding& encoding) {
    std::vector<int64_t> all;
    for (int64_t c = 0; c <= encoding.largest_stored(); ++c) all.push_back(encoding.code(c));
    return all;
  };
  EXPECT_EQ(codes(LogNonzero(2)), (std::vector<int64_t>{-2, -1, 1, 2}));
  EXPECT_EQ(codes(Log(3)), (std::vector<int64_t>{-4, -2, -1, 0, 1, 2, 4}));
  EXPECT_EQ(codes(LogNonzero(3)), (std::vector<int64_t>{-8, -4, -2, -1, 1, 2, 4, 8}));
  // 0, where it is no code, is stored as the code next to it.
  EXPECT_EQ(LogNonzero(3).code(LogNonzero(3).stored(0)), 1);
}

// 2^24 and all smaller integers are exact as floats, so every partial sum is; with one more term that is not certain.
TEST(EncodingTest, DotIsExactUpToTwoToThe24) {
  EXPECT_TRUE(DotIsExact(kBinary, kBinary, 1 << 24));
  EXPECT_FALSE(DotIsExact(kBinary, kBinary, (1 << 24) + 1));
  EXPECT_TRUE(DotIsExact(kPixels, kBinary, (1 << 24) / 255));
  EXPECT_FALSE(DotIsExact(kPixels, kBinary, (1 << 24) / 255 + 1));
  EXPECT_TRUE(DotIsExact(kPixels, kPixels, 258));
  EXPECT_FALSE(DotIsExact(kPixels, kPixels, 259));
  EXPECT_FALSE(DotIsExact(kFloat, kBinary, 1));
  EXPECT_FALSE(DotIsExact(kBinary, kFloat, 1));
  EXPECT_TRUE(DotIsExact(kUnsigned2, Log(4), (1 << 24) / (3 * 64)));
  EXPECT_FALSE(DotIsExact(kUnsigned2, Log(4), (1 << 24) / (3 * 64) + 1));
  // The product of the two largest codes is no int64.
  EXPECT_FALSE(DotIsExact(kPixels, Log(7), 1));
  EXPECT_FALSE(DotIsExact(Log(7), Log(7), 1));
  EXPECT_TRUE(DotIsExact(Log(4), kBinary, (1 << 24) / 64));
  EXPECT_FALSE(DotIsExact(Log(4), kBinary, (1 << 24) / 64 + 1));
  EXPECT_TRUE(DotIsExact(LogNonzero(4), Log(4), 1 << 11));
  EXPECT_FALSE(DotIsExact(LogNonzero(4), Log(4), (1 << 11) + 1));
}

// The numbers are in files: never renumber.
TEST(EncodingTest, NumbersAndNames) {
  EXPECT_EQ(static_cast<int>(EncodingKind::kFloat), 0);
  EXPECT_EQ(static_cast<int>(EncodingKind::kBinary), 1);
  EXPECT_EQ(static_cast<int>(EncodingKind::kTernary), 2);
  EXPECT_EQ(static_cast<int>(EncodingKind::kSymmetric), 3);
  EXPECT_EQ(static_cast<int>(EncodingKind::kUnsigned), 4);
  EXPECT_EQ(static_cast<int>(EncodingKind::kSigned), 5);
  EXPECT_EQ(static_cast<int>(EncodingKind::kTwosComplement), 6);
  EXPECT_EQ(static_cast<int>(EncodingKind::kLog), 7);
  EXPECT_EQ(static_cast<int>(EncodingKind::kPowerOfTwo), 8);
  EXPECT_EQ(static_cast<int>(EncodingKind::kLogNonzero), 9);
  EXPECT_STREQ(Name(EncodingKind::kSymmetric), "symmetric");
}

}  // namespace
}  // namespace bitgrad
