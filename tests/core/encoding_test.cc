#include "bitgrad/core/encoding.h"

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr Encoding kFloat = {};
constexpr Encoding kBinary = {EncodingKind::kBinary, 1};
constexpr Encoding kTernary = {EncodingKind::kTernary, 2};
constexpr Encoding kPixels = {EncodingKind::kSymmetric, 8};
constexpr Encoding kUnsigned2 = {EncodingKind::kUnsigned, 2};

TEST(EncodingTest, LargestCodes) {
  EXPECT_FALSE(kFloat.is_integer());
  EXPECT_EQ(kBinary.max_code(), 1);
  EXPECT_EQ(kTernary.max_code(), 1);
  EXPECT_EQ(kPixels.max_code(), 255);
  EXPECT_EQ(kUnsigned2.max_code(), 3);
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
}

// The numbers are in files: never renumber.
TEST(EncodingTest, NumbersAndNames) {
  EXPECT_EQ(static_cast<int>(EncodingKind::kFloat), 0);
  EXPECT_EQ(static_cast<int>(EncodingKind::kBinary), 1);
  EXPECT_EQ(static_cast<int>(EncodingKind::kTernary), 2);
  EXPECT_EQ(static_cast<int>(EncodingKind::kSymmetric), 3);
  EXPECT_EQ(static_cast<int>(EncodingKind::kUnsigned), 4);
  EXPECT_EQ(static_cast<int>(EncodingKind::kSigned), 5);
  EXPECT_STREQ(Name(EncodingKind::kSymmetric), "symmetric");
}

}  // namespace
}  // namespace bitgrad
