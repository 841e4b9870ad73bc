#include "bitgrad/data/augmentation.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bitgrad/data/color_jitter.h"
#include "bitgrad/data/random_crop.h"
#include "bitgrad/data/random_flip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

constexpr ImageShape kShapes[] = {{1, 1, 1}, {2, 3, 1}, {5, 4, 3}, {7, 9, 2}, {32, 32, 3}};

// No pixel is black.
std::vector<uint8_t> RandomImage(const ImageShape& shape, uint32_t stream) {
  const RngStream rng{.seed = 3, .stream = stream};
  std::vector<uint8_t> pixels(shape.features());
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<uint8_t>(1 + UniformBelow(rng, i, 255));
  }
  return pixels;
}

std::vector<uint8_t> Applied(const ImageTransform& transform, const ImageShape& shape, std::vector<uint8_t> pixels,
                             int64_t example) {
  RandomDraws draws(/*seed=*/1, /*epoch=*/2, example);
  transform.Apply(shape, pixels.data(), draws);
  return pixels;
}

// The image moved so that (dy, dx) becomes the first pixel, the header's formula.
std::vector<uint8_t> Moved(const ImageShape& shape, const std::vector<uint8_t>& x, int64_t dy, int64_t dx) {
  std::vector<uint8_t> y(x.size(), 0);
  for (int64_t r = 0; r < shape.height; ++r) {
    for (int64_t c = 0; c < shape.width; ++c) {
      const int64_t from_r = r + dy, from_c = c + dx;
      if (from_r < 0 || from_r >= shape.height || from_c < 0 || from_c >= shape.width) continue;
      for (int64_t k = 0; k < shape.channels; ++k) {
        y[(r * shape.width + c) * shape.channels + k] = x[(from_r * shape.width + from_c) * shape.channels + k];
      }
    }
  }
  return y;
}

TEST(RandomCropTest, IsACropOfThePaddedImageAtEachPlace) {
  for (const ImageShape& shape : kShapes) {
    for (const int padding : {0, 1, 2, 4}) {
      const RandomCrop crop(padding);
      if (padding >= std::min(shape.height, shape.width)) {
        EXPECT_THAT(std::string(crop.Check(shape).message()), HasSubstr(shape.ToString()));
        continue;
      }
      ASSERT_TRUE(crop.Check(shape).ok());
      std::set<std::pair<int64_t, int64_t>> places;
      for (uint32_t example = 0; example < 1500; ++example) {
        const std::vector<uint8_t> x = RandomImage(shape, example);
        RandomDraws draws(1, 2, example);
        const int64_t dy = int64_t{draws.Below(2 * padding + 1)} - padding;
        const int64_t dx = int64_t{draws.Below(2 * padding + 1)} - padding;
        ASSERT_EQ(Applied(crop, shape, x, example), Moved(shape, x, dy, dx)) << dy << " " << dx;
        places.insert({dy, dx});
      }
      EXPECT_EQ(static_cast<int>(places.size()), (2 * padding + 1) * (2 * padding + 1));
    }
  }
}

TEST(RandomFlipTest, MirrorsHalfOfTheImages) {
  for (const ImageShape& shape : kShapes) {
    int flipped = 0;
    for (uint32_t example = 0; example < 1000; ++example) {
      const std::vector<uint8_t> x = RandomImage(shape, example);
      std::vector<uint8_t> mirrored(x.size());
      for (int64_t i = 0; i < shape.height * shape.width; ++i) {
        const int64_t row = i / shape.width, column = i % shape.width;
        for (int64_t k = 0; k < shape.channels; ++k) {
          mirrored[i * shape.channels + k] = x[(row * shape.width + shape.width - 1 - column) * shape.channels + k];
        }
      }
      const std::vector<uint8_t> y = Applied(RandomFlip(), shape, x, example);
      ASSERT_TRUE(y == x || y == mirrored);
      flipped += y == mirrored;
    }
    // Five standard deviations of a fair coin.
    if (shape.width > 1) {
      EXPECT_NEAR(flipped, 500, 80) << shape.ToString();
    }
  }
}

// The formulas of color_jitter.h in double, before the rounding.
std::vector<double> ReferenceJitter(const std::vector<uint8_t>& x, double b, double c, double s) {
  const auto luma = [](const double* rgb) { return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]; };
  std::vector<double> y(x.begin(), x.end());
  double mean = 0;
  for (double& value : y) value *= b;
  for (size_t i = 0; i < y.size(); i += 3) mean += luma(&y[i]) / (static_cast<double>(y.size()) / 3);
  for (double& value : y) value = mean + c * (value - mean);
  for (size_t i = 0; i < y.size(); i += 3) {
    const double l = luma(&y[i]);
    for (size_t k = 0; k < 3; ++k) y[i + k] = l + s * (y[i + k] - l);
  }
  return y;
}

TEST(ColorJitterTest, FollowsTheFormulas) {
  const float strengths[][3] = {{0, 0, 0}, {0.4f, 0, 0}, {0, 0.4f, 0}, {0, 0, 0.4f}, {0.8f, 1, 0.9f}};
  for (const ImageShape& shape : {ImageShape{1, 1, 3}, ImageShape{5, 4, 3}, ImageShape{32, 32, 3}}) {
    for (const auto& a : strengths) {
      const ColorJitter jitter(a[0], a[1], a[2]);
      for (uint32_t example = 0; example < 50; ++example) {
        const std::vector<uint8_t> x = RandomImage(shape, example);
        RandomDraws draws(1, 2, example);
        const float b = draws.Between(1 - a[0], 1 + a[0]);
        const float c = draws.Between(1 - a[1], 1 + a[1]);
        const float s = draws.Between(1 - a[2], 1 + a[2]);
        const std::vector<double> expected = ReferenceJitter(x, b, c, s);
        const std::vector<uint8_t> y = Applied(jitter, shape, x, example);
        for (size_t i = 0; i < x.size(); ++i) {
          // Half a step for the rounding, and what float arithmetic with values up to 1,000 can be off.
          ASSERT_NEAR(y[i], std::clamp(expected[i], 0.0, 255.0), 0.5 + 1e-3);
          if (a[0] == 0 && a[1] == 0 && a[2] == 0) {
            ASSERT_EQ(y[i], x[i]);
          }
        }
      }
    }
  }
}

TEST(ColorJitterTest, NeedsColors) {
  for (const int64_t channels : {1, 2, 4}) {
    const absl::Status status = ColorJitter(0.4f, 0.4f, 0.4f).Check({8, 8, channels});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("3 channels"));
  }
}

TEST(RandomDrawsTest, DifferBySeedEpochExampleAndPlace) {
  std::set<uint32_t> seen;
  for (const auto& [seed, epoch, example] :
       {std::tuple{1, 0, 0}, std::tuple{2, 0, 0}, std::tuple{1, 1, 0}, std::tuple{1, 0, 1}}) {
    RandomDraws draws(seed, epoch, example);
    for (int i = 0; i < 6; ++i) seen.insert(draws.Below(1u << 31));
  }
  EXPECT_EQ(seen.size(), 24u);
}

TEST(ParseAugmentationTest, MakesTheTransformsInOrder) {
  const ImageShape shape{8, 8, 3};
  const absl::StatusOr<Augmentation> parsed = ParseAugmentation({"flip", "crop(2)", "jitter(0.1,0.2,0.3)"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const std::vector<uint8_t> x = RandomImage(shape, 0);
  for (int64_t example = 0; example < 20; ++example) {
    std::vector<uint8_t> expected = x, y = x;
    RandomDraws draws(1, 2, example), same_draws(1, 2, example);
    RandomFlip().Apply(shape, expected.data(), draws);
    RandomCrop(2).Apply(shape, expected.data(), draws);
    ColorJitter(0.1f, 0.2f, 0.3f).Apply(shape, expected.data(), draws);
    for (const auto& transform : *parsed) transform->Apply(shape, y.data(), same_draws);
    EXPECT_EQ(y, expected);
  }
  EXPECT_TRUE(ParseAugmentation({})->empty());
}

TEST(ParseAugmentationTest, ErrorsNameTheTransform) {
  for (const char* text : {"rotate(10)", "crop(0)", "crop(2.5)", "flip(1)", "jitter(1,2,3)"}) {
    const absl::Status status = ParseAugmentation({"flip", text}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("augmentation '" + std::string(text) + "': "));
  }
  EXPECT_THAT(AugmentationHelp(), HasSubstr("crop(4)"));
}

}  // namespace
}  // namespace bitgrad
