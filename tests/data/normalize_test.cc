#include "bitgrad/data/normalize.h"

#include <cmath>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(NormalizePixelTest, CoversMinusOneToOneSymmetrically) {
  EXPECT_EQ(NormalizePixel(0), -1.0f);
  EXPECT_EQ(NormalizePixel(255), 1.0f);
  for (int p = 0; p < 256; ++p) {
    EXPECT_EQ(NormalizePixel(static_cast<uint8_t>(p)), -NormalizePixel(static_cast<uint8_t>(255 - p)));
  }
}

// An 8-bit first layer relies on this, also where its product with 255 is rounded to float.
TEST(NormalizePixelTest, TheIntegerComesBackExactly) {
  for (int p = 0; p < 256; ++p) {
    EXPECT_EQ(std::nearbyint(255.0f * NormalizePixel(static_cast<uint8_t>(p))), 2 * p - 255);
  }
}

}  // namespace
}  // namespace bitgrad
