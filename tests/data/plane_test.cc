#include "bitgrad/data/plane.h"

#include <cmath>
#include <set>

#include "bitgrad/data/datasets.h"
#include "bitgrad/data/normalize.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

bool Circle(double x, double y) { return x * x + y * y < 2 / M_PI; }
bool SShape(double x, double y) {
  return x > 0.4 * std::sin(-5 * y) - 0.3 && x < 0.4 * std::sin(-5 * y) + 0.3 && y > -0.8 && y < 0.8;
}

TEST(PlaneTest, LabelsAreThoseOfTheFormulasAndTheTestSetIsTheGrid) {
  for (const bool is_circle : {true, false}) {
    const auto test = LoadDataset(is_circle ? "circle" : "s_shape", {.split = Split::kTest});
    ASSERT_TRUE(test.ok()) << test.status();
    ASSERT_EQ(test->size(), 65536);
    EXPECT_EQ(test->features(), 2);
    int64_t inside = 0;
    std::set<int> places;
    for (int64_t i = 0; i < test->size(); ++i) {
      const uint8_t* pixels = test->images.data<uint8_t>() + 2 * i;
      places.insert(256 * pixels[0] + pixels[1]);
      const double x = NormalizePixel(pixels[0]), y = NormalizePixel(pixels[1]);
      EXPECT_EQ(test->labels.data<int32_t>()[i], is_circle ? Circle(x, y) : SShape(x, y)) << x << " " << y;
      inside += test->labels.data<int32_t>()[i];
    }
    EXPECT_EQ(places.size(), 65536u);
    // The area of the disc is half the square's; that of the S is 1.6 * 0.6 of 4, but for what is cut off at |x| = 1.
    EXPECT_NEAR(static_cast<double>(inside) / 65536, is_circle ? 0.5 : 0.24, 0.01);
  }
}

TEST(PlaneTest, TrainingPointsDependOnTheSeedAndFillTheSquare) {
  const auto train = LoadDataset("circle", {.seed = 3}), again = LoadDataset("circle", {.seed = 3, .limit = 100});
  const auto other = LoadDataset("circle", {.seed = 4});
  ASSERT_TRUE(train.ok() && again.ok() && other.ok());
  ASSERT_EQ(train->size(), 1500);
  ASSERT_EQ(again->size(), 100);
  int same = 0, quadrants[4] = {};
  for (int i = 0; i < 1500; ++i) {
    const uint8_t *a = train->images.data<uint8_t>() + 2 * i, *b = other->images.data<uint8_t>() + 2 * i;
    same += a[0] == b[0] && a[1] == b[1];
    ++quadrants[2 * (a[0] / 128) + a[1] / 128];
    if (i < 100) {
      EXPECT_EQ(a[0], again->images.data<uint8_t>()[2 * i]);
      EXPECT_EQ(train->labels.data<int32_t>()[i], again->labels.data<int32_t>()[i]);
    }
  }
  EXPECT_LT(same, 3);
  for (const int count : quadrants) EXPECT_NEAR(count, 375, 80);
  const auto kind = KindOfDataset("s_shape", 0);
  ASSERT_TRUE(kind.ok());
  EXPECT_EQ(kind->image, train->image_shape());
  EXPECT_EQ(kind->classes, 2);
}

}  // namespace
}  // namespace bitgrad
