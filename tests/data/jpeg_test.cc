#include "bitgrad/data/jpeg.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "bitgrad/tests/testing/shape_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

// A smooth image, which compression changes little.
Image Gradient(const ImageShape& shape) {
  Image image{shape, {}};
  for (int64_t r = 0; r < shape.height; ++r) {
    for (int64_t c = 0; c < shape.width; ++c) {
      for (int64_t k = 0; k < shape.channels; ++k) {
        image.pixels.push_back(static_cast<uint8_t>(40 + 2 * r + c + 30 * k));
      }
    }
  }
  return image;
}

absl::StatusOr<Image> Decode(const std::string& bytes) {
  return DecodeJpeg({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

TEST(JpegTest, GivesTheImageBack) {
  for (const ImageShape& shape : {ImageShape{1, 1, 3}, ImageShape{7, 19, 3}, ImageShape{48, 33, 3}}) {
    const Image image = Gradient(shape);
    const absl::StatusOr<Image> decoded = Decode(EncodeJpeg(image, 95));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(decoded->shape, shape);
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      ASSERT_NEAR(decoded->pixels[i], image.pixels[i], 12) << i;
    }
  }
}

TEST(JpegTest, GreyBecomesThreeEqualChannels) {
  const Image image = Gradient({9, 11, 1});
  const absl::StatusOr<Image> decoded = Decode(EncodeJpeg(image, 95));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->shape, (ImageShape{9, 11, 3}));
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    ASSERT_NEAR(decoded->pixels[3 * i], image.pixels[i], 12);
    EXPECT_EQ(decoded->pixels[3 * i], decoded->pixels[3 * i + 1]);
    EXPECT_EQ(decoded->pixels[3 * i], decoded->pixels[3 * i + 2]);
  }
}

// What 255 minus each ink, as Adobe stores them, is in RGB: the product of that of the colour and that of black.
TEST(JpegTest, InksBecomeRgb) {
  const Image inks = Gradient({24, 31, 4});
  for (const bool ycck : {false, true}) {
    const std::string bytes = EncodeJpeg(inks, 97, ycck);
    const absl::StatusOr<Image> decoded = Decode(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(decoded->shape, (ImageShape{24, 31, 3}));
    for (size_t i = 0; i < decoded->pixels.size(); ++i) {
      const int colour = inks.pixels[i / 3 * 4 + i % 3], black = inks.pixels[i / 3 * 4 + 3];
      ASSERT_NEAR(decoded->pixels[i], colour * black / 255.0, 14) << i << (ycck ? " YCCK" : " CMYK");
    }
    // Without Adobe's marker (APP14) the stored numbers are the inks themselves.
    if (ycck) continue;
    const size_t marker = bytes.find("\xff\xee");
    ASSERT_NE(marker, std::string::npos);
    const absl::StatusOr<Image> plain = Decode(bytes.substr(0, marker) + bytes.substr(marker + 16));
    ASSERT_TRUE(plain.ok()) << plain.status();
    for (size_t i = 0; i < plain->pixels.size(); ++i) {
      const int colour = inks.pixels[i / 3 * 4 + i % 3], black = inks.pixels[i / 3 * 4 + 3];
      ASSERT_NEAR(plain->pixels[i], (255 - colour) * (255 - black) / 255.0, 14) << i;
    }
  }
}

TEST(JpegTest, JunkAroundTheEndIsPassedOver) {
  const std::string bytes = EncodeJpeg(Gradient({16, 16, 3}), 90);
  const absl::StatusOr<Image> clean = Decode(bytes);
  ASSERT_TRUE(clean.ok());
  const std::string body = bytes.substr(0, bytes.size() - 2), end = bytes.substr(bytes.size() - 2);
  const struct {
    std::string bytes;
    bool has_junk;
  } cases[] = {
      {bytes, false}, {bytes + "x", true}, {bytes + std::string(5000, '\0'), true}, {body + "junk" + end, true}};
  for (const auto& c : cases) {
    bool has_junk = !c.has_junk;
    const absl::StatusOr<Image> image =
        DecodeJpeg({reinterpret_cast<const uint8_t*>(c.bytes.data()), c.bytes.size()}, &has_junk);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(has_junk, c.has_junk) << c.bytes.size();
    EXPECT_EQ(image->pixels, clean->pixels);
  }
}

TEST(JpegTest, TruncatedAnywhereIsAnError) {
  const std::string bytes = EncodeJpeg(Gradient({40, 30, 3}), 80);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::StatusCode code = Decode(bytes.substr(0, size)).status().code();
    EXPECT_EQ(code, size < 2 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kDataLoss)
        << size << " of " << bytes.size();
  }
}

// A damaged file is an error that says something, or an image: of other pixels, or of another size, of which each has
// its bytes.
TEST(JpegTest, DamageIsAnErrorOrAnImage) {
  const std::string bytes = EncodeJpeg(Gradient({16, 16, 3}), 80);
  int errors = 0, images = 0;
  for (size_t i = 2; i < bytes.size(); ++i) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      const absl::StatusOr<Image> image = Decode(damaged);
      if (!image.ok()) {
        ++errors;
        EXPECT_FALSE(image.status().message().empty()) << "byte " << i;
        EXPECT_NE(image.status().code(), absl::StatusCode::kUnknown) << "byte " << i;
        continue;
      }
      ++images;
      EXPECT_GT(image->shape.features(), 0) << "byte " << i;
      EXPECT_EQ(static_cast<int64_t>(image->pixels.size()), image->shape.features()) << "byte " << i;
      EXPECT_EQ(image->shape.channels, 3);
    }
  }
  EXPECT_GT(errors, 100);
  EXPECT_GT(images, 0);
}

TEST(JpegTest, OtherFilesAreErrors) {
  for (const char* text : {"", "x", "\x89PNG\r\n", "not a picture at all"}) {
    const absl::Status status = Decode(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("not a JPEG"));
  }
}

}  // namespace
}  // namespace bitgrad
