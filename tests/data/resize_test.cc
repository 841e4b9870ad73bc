#include "bitgrad/data/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "bitgrad/core/rng.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

Image RandomImage(const ImageShape& shape) {
  const RngStream rng{.seed = 7};
  Image image{shape, {}};
  for (int64_t i = 0; i < shape.features(); ++i) {
    image.pixels.push_back(static_cast<uint8_t>(UniformBelow(rng, i, 256)));
  }
  return image;
}

// The weight of input pixel j in output pixel i where n pixels become m: the formula of resize.h, before the division
// by the sum.
double Weight(int64_t n, int64_t m, int64_t i, int64_t j) {
  const double ratio = static_cast<double>(n) / static_cast<double>(m);
  const double centre = (static_cast<double>(i) + 0.5) * ratio - 0.5;
  return std::max(0.0, 1 - std::fabs(static_cast<double>(j) - centre) / std::max(1.0, ratio));
}

TEST(ResizeTest, FollowsTheFormula) {
  for (const ImageShape& shape : {ImageShape{1, 1, 3}, ImageShape{5, 5, 3}, ImageShape{7, 12, 3}, ImageShape{31, 9, 1},
                                  ImageShape{64, 48, 3}, ImageShape{3, 200, 3}}) {
    for (const int64_t size : {1, 2, 5, 9, 16}) {
      const Image x = RandomImage(shape);
      const Image y = ResizeAndCrop(x, size);
      ASSERT_EQ(y.shape, (ImageShape{size, size, shape.channels}));
      const double shorter = static_cast<double>(std::min(shape.height, shape.width));
      const int64_t m_rows = std::llround(static_cast<double>(shape.height * size) / shorter);
      const int64_t m_columns = std::llround(static_cast<double>(shape.width * size) / shorter);
      for (int64_t r = 0; r < size; ++r) {
        for (int64_t c = 0; c < size; ++c) {
          for (int64_t k = 0; k < shape.channels; ++k) {
            double sum = 0, weights = 0;
            for (int64_t a = 0; a < shape.height; ++a) {
              for (int64_t b = 0; b < shape.width; ++b) {
                const double w = Weight(shape.height, m_rows, (m_rows - size) / 2 + r, a) *
                                 Weight(shape.width, m_columns, (m_columns - size) / 2 + c, b);
                sum += w * x.pixels[(a * shape.width + b) * shape.channels + k];
                weights += w;
              }
            }
            ASSERT_NEAR(y.pixels[(r * size + c) * shape.channels + k], sum / weights, 0.5 + 1e-3)
                << shape.ToString() << " to " << size;
          }
        }
      }
    }
  }
}

TEST(ResizeTest, AnImageOfTheSizeStaysAsItIs) {
  const Image x = RandomImage({13, 13, 3});
  EXPECT_EQ(ResizeAndCrop(x, 13).pixels, x.pixels);
}

}  // namespace
}  // namespace bitgrad
