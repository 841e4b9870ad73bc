// Images of the user's in the shape that a model takes, and how they are drawn in characters.

#include "bitgrad/runtime/predict_image.h"

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/data/resize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

Image Rgb(int64_t height, int64_t width, const std::vector<uint8_t>& colour) {
  Image image{.shape = {height, width, 3}};
  for (int64_t i = 0; i < height * width; ++i) image.pixels.insert(image.pixels.end(), colour.begin(), colour.end());
  return image;
}

TEST(ToShapeTest, TheSizeThatIsWantedStaysAsItIs) {
  const Image image = Rgb(2, 3, {1, 2, 3});
  const auto same = ToShape(image, {2, 3, 3}, /*invert=*/false);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->pixels, image.pixels);
  EXPECT_TRUE(same->shape == image.shape);
}

TEST(ToShapeTest, OneChannelIsTheLuma) {
  const std::vector<std::pair<std::vector<uint8_t>, int>> colours = {
      {{0, 0, 0}, 0}, {{255, 255, 255}, 255}, {{255, 0, 0}, 76}, {{0, 255, 0}, 150}, {{0, 0, 255}, 29}, {{7, 7, 7}, 7}};
  for (const auto& [colour, luma] : colours) {
    const auto grey = ToShape(Rgb(2, 2, colour), {2, 2, 1}, /*invert=*/false);
    ASSERT_TRUE(grey.ok()) << grey.status();
    EXPECT_EQ(grey->pixels, std::vector<uint8_t>(4, static_cast<uint8_t>(luma)));
    const auto inverted = ToShape(Rgb(2, 2, colour), {2, 2, 1}, /*invert=*/true);
    ASSERT_TRUE(inverted.ok()) << inverted.status();
    EXPECT_EQ(inverted->pixels, std::vector<uint8_t>(4, static_cast<uint8_t>(255 - luma)));
  }
}

TEST(ToShapeTest, OtherSizesAreResizedAndCut) {
  Image image = Rgb(6, 10, {0, 0, 0});
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(37 * i);
  const auto resized = ToShape(image, {4, 4, 3}, /*invert=*/false);
  ASSERT_TRUE(resized.ok()) << resized.status();
  EXPECT_EQ(resized->pixels, ResizeAndCrop(image, 4).pixels);
}

TEST(ToShapeTest, WhatIsNoSquareHasToHaveTheSize) {
  const auto refused = ToShape(Rgb(6, 10, {0, 0, 0}), {1, 2, 1}, /*invert=*/false);
  ASSERT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("an image of 6x10 where the model takes 1x2 (height x width)"));
}

TEST(DrawingTest, LightIsDense) {
  // A character is 1 x 2 pixels, without the spaces at a line's end; the last line may have one row of pixels.
  Image image{.shape = {3, 4, 1},
              .pixels = {0, 255, 0, 0,    //
                         0, 255, 255, 0,  //
                         26, 0, 0, 255}};
  EXPECT_EQ(Drawing(image), " @=\n.  @\n");
}

TEST(DrawingTest, ALargeImageHasAtMost32Columns) {
  EXPECT_EQ(Drawing(Rgb(64, 64, {255, 255, 255})).substr(0, 33), std::string(32, '@') + "\n");
  EXPECT_EQ(Drawing(Rgb(65, 65, {255, 255, 255})).substr(0, 23), std::string(22, '@') + "\n");
}

}  // namespace
}  // namespace bitgrad
