#include "bitgrad/data/digit_glyphs.h"

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// The table is written by hand; its counts are what a typing mistake breaks.
TEST(DigitGlyphsTest, TableIsConsistent) {
  for (int digit = 0; digit < 10; ++digit) {
    EXPECT_GE(GlyphsOf(digit).size(), 3u);
    for (const Glyph& glyph : GlyphsOf(digit)) {
      EXPECT_EQ(glyph.digit, digit);
      EXPECT_GE(glyph.strokes[0].count, 2);
      for (const Stroke& stroke : glyph.strokes) {
        ASSERT_LE(stroke.count, kMaxControlPoints);
        EXPECT_NE(stroke.count, 1) << "a stroke has two ends";
        for (int i = 0; i < kMaxControlPoints; ++i) {
          const ControlPoint& point = stroke.points[i];
          EXPECT_TRUE(point.x >= 0 && point.x <= 1 && point.y >= 0 && point.y <= 1);
          // Two equal points in a row would be a curve without direction; points after the last are
          // unset.
          const bool is_origin = point.x == 0 && point.y == 0;
          EXPECT_EQ(is_origin, i >= stroke.count) << "digit " << digit << " point " << i;
          if (i > 0 && i < stroke.count) {
            const ControlPoint& before = stroke.points[i - 1];
            EXPECT_FALSE(point.x == before.x && point.y == before.y);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace bitgrad
