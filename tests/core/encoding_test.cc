#include "bitgrad/core/encoding.h"

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr Encoding kFloat = {};
constexpr Encoding kBinary = {EncodingKind::kBinary, 1};
constexpr Encoding kTernary = {EncodingKind::kTernary, 2};
constexpr Encoding kPixels = {EncodingKind::kSymmetric, 8};
constexpr Encoding kUnsigned2 = {EncodingKind::kUnsigned, 2};
constexpr Encoding Log(int bits) { return {EncodingKind::kLog, bits}; }

TEST(EncodingTest, LargestCodes) {
  EXPECT_FALSE(kFloat.is_integer());
  EXPECT_EQ(kBinary.max_code(), 1);
  EXPECT_EQ(kTernary.max_code(), 1);
  EXPECT_EQ(kPixels.max_code(), 255);
  EXPECT_EQ(kUnsigned2.max_code(), 3);
  EXPECT_EQ(Log(3).max_code(), 4);
  EXPECT_EQ(Log(4).max_code(), 64);
  EXPECT_EQ(Log(7).max_code(), int64_t{1} << 62);
}

TEST(EncodingTest, LogarithmicCodesAreIntegersAtUnequalDistances) {
  EXPECT_TRUE(Log(4).is_integer() && Log(4).is_power_of_two() && !Log(4).is_affine());
  const Encoding power = {EncodingKind::kPowerOfTwo, 4};
  EXPECT_TRUE(!power.is_integer() && power.is_power_of_two() && !power.is_affine());
  EXPECT_TRUE(kPixels.is_affine() && !kPixels.is_power_of_two());
}

// Ranks ascend with their codes, and the forms of a code agree.
TEST(EncodingTest, RanksOfLogarithmicCodes) {
  for (int rank = -LargestRank(7); rank <= LargestRank(7); ++rank) {
    EXPECT_EQ(RankOfFloat(FloatOfRank(rank)), rank);
    EXPECT_EQ(FloatOfRank(rank), static_cast<float>(CodeOfRank(rank)));
    if (rank < LargestRank(7)) {
      EXPECT_LT(CodeOfRank(rank), CodeOfRank(rank + 1));
    }
  }
  EXPECT_EQ(LargestRank(4), 7);
  EXPECT_EQ(CodeOfRank(-3), -4);
  EXPECT_EQ(CodeOfRank(0), 0);
  EXPECT_EQ(RankOfFloat(-0.0f), 0);
  EXPECT_EQ(RankOfFloat(0.75f), 0);
  EXPECT_EQ(RankOfFloat(-3.0f), -2);
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
  EXPECT_FALSE(DotIsExact(Log(4), kBinary, 1));
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
  EXPECT_STREQ(Name(EncodingKind::kSymmetric), "symmetric");
}

}  // namespace
}  // namespace bitgrad
