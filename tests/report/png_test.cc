// PNG files give back their pixels, read by data/png.h.

#include "bitgrad/report/png.h"

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "bitgrad/data/png.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(EncodePngTest, GivesBackThePixels) {
  for (const int channels : {1, 3}) {
    for (const auto& [height, width] : {std::pair{1, 1}, {1, 7}, {5, 1}, {28, 28}, {33, 64}}) {
      SCOPED_TRACE(testing::Message() << height << "x" << width << "x" << channels);
      diagnostics::Picture picture;
      picture.set_height(height);
      picture.set_width(width);
      picture.set_channels(channels);
      for (int i = 0; i < height * width * channels; ++i) {
        picture.mutable_pixels()->push_back(static_cast<char>(i * 37 % 256));
      }
      const std::string png = EncodePng(picture);
      const auto image = DecodePng(absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(png.data()), png.size()));
      ASSERT_TRUE(image.ok()) << image.status();
      ASSERT_EQ(image->shape.height, height);
      ASSERT_EQ(image->shape.width, width);
      for (size_t i = 0; i < image->pixels.size(); ++i) {
        const size_t from = channels == 3 ? i : i / 3;
        ASSERT_EQ(image->pixels[i], static_cast<uint8_t>(picture.pixels()[from])) << i;
      }
    }
  }
}

}  // namespace
}  // namespace bitgrad
