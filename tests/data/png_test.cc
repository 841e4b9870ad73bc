#include "bitgrad/data/png.h"

#include <png.h>
#include <zlib.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/check.h"
#include "bitgrad/data/decode_image.h"
#include "bitgrad/tests/testing/shape_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

constexpr int kHeight = 13;
constexpr int kWidth = 21;

// Byte k of a pixel, at 8 bits.
uint8_t Value(int row, int column, int k) { return static_cast<uint8_t>(row * 11 + column * 5 + k * 60); }

// A file of kHeight x kWidth pixels: with 16 bits a value has the two bytes Value(), 0; with a palette its index is
// Value(row, column, 0) % 16 and colour i is (i, 2 i, 3 i).
std::string Encode(int colour_type, int bits, int interlace) {
  std::string result;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  BITGRAD_CHECK(info != nullptr && setjmp(png_jmpbuf(png)) == 0);
  png_set_write_fn(
      png, &result,
      [](png_structp png, png_bytep bytes, size_t count) {
        static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(bytes), count);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, kWidth, kHeight, bits, colour_type, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (colour_type == PNG_COLOR_TYPE_PALETTE) {
    png_color palette[16];
    for (int i = 0; i < 16; ++i) {
      palette[i] = {static_cast<uint8_t>(i), static_cast<uint8_t>(2 * i), static_cast<uint8_t>(3 * i)};
    }
    png_set_PLTE(png, info, palette, 16);
    const png_byte clear = 0;
    png_set_tRNS(png, info, &clear, 1, nullptr);  // colour 0 is transparent
  }
  png_write_info(png, info);
  const int channels = png_get_channels(png, info);
  std::vector<std::vector<uint8_t>> rows(kHeight);
  std::vector<png_bytep> pointers;
  for (int r = 0; r < kHeight; ++r) {
    for (int c = 0; c < kWidth; ++c) {
      for (int k = 0; k < channels; ++k) {
        rows[r].push_back(colour_type == PNG_COLOR_TYPE_PALETTE ? Value(r, c, 0) % 16 : Value(r, c, k));
        if (bits == 16) rows[r].push_back(0);
      }
    }
    pointers.push_back(rows[r].data());
  }
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return result;
}

absl::StatusOr<Image> Decode(const std::string& bytes, bool* has_junk = nullptr) {
  return DecodeImage({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, has_junk);
}

bool Whole(const std::string& bytes) {
  return LooksWhole({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

TEST(PngTest, AllKindsBecomeRgb) {
  const struct {
    int type;
    int channels;
  } kinds[] = {{PNG_COLOR_TYPE_GRAY, 1},
               {PNG_COLOR_TYPE_GRAY_ALPHA, 1},
               {PNG_COLOR_TYPE_RGB, 3},
               {PNG_COLOR_TYPE_RGB_ALPHA, 3},
               {PNG_COLOR_TYPE_PALETTE, 0}};
  for (const auto& kind : kinds) {
    for (const int bits : {8, 16}) {
      if (kind.channels == 0 && bits == 16) continue;
      for (const int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
        const absl::StatusOr<Image> image = Decode(Encode(kind.type, bits, interlace));
        ASSERT_TRUE(image.ok()) << image.status();
        ASSERT_EQ(image->shape, (ImageShape{kHeight, kWidth, 3}));
        for (int i = 0; i < kHeight * kWidth * 3; ++i) {
          const int row = i / 3 / kWidth, column = i / 3 % kWidth, k = i % 3;
          int expected = Value(row, column, kind.channels == 1 ? 0 : k);
          if (kind.channels == 0) expected = Value(row, column, 0) % 16 * (k + 1);
          // 16-bit values v 256 become round(v 256 / 257).
          if (bits == 16) expected = (expected * 256 + 128) / 257;
          ASSERT_EQ(image->pixels[i], expected) << "type " << kind.type << ", " << bits << " bits, value " << i;
        }
      }
    }
  }
}

TEST(PngTest, TruncatedAnywhereIsAnError) {
  const std::string bytes = Encode(PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::StatusCode code = Decode(bytes.substr(0, size)).status().code();
    EXPECT_EQ(code, size < 8 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kDataLoss) << size;
    EXPECT_FALSE(Whole(bytes.substr(0, size)));
  }
  EXPECT_TRUE(Whole(bytes));
}

// Every chunk has a checksum: a changed bit is found, or lies in what changes no pixel.
TEST(PngTest, DamageIsFound) {
  const std::string bytes = Encode(PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE);
  const absl::StatusOr<Image> clean = Decode(bytes);
  ASSERT_TRUE(clean.ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
      const absl::StatusOr<Image> image = Decode(damaged);
      if (image.ok()) {
        EXPECT_EQ(image->pixels, clean->pixels) << "byte " << i << " bit " << bit;
      }
    }
  }
}

TEST(PngTest, JunkBehindTheEndIsPassedOver) {
  const std::string bytes = Encode(PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE);
  bool has_junk = true;
  ASSERT_TRUE(Decode(bytes, &has_junk).ok());
  EXPECT_FALSE(has_junk);
  const absl::StatusOr<Image> image = Decode(bytes + "junk", &has_junk);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_TRUE(has_junk);
  EXPECT_EQ(image->pixels, Decode(bytes)->pixels);
  EXPECT_FALSE(Whole(bytes + "junk"));
}

TEST(PngTest, AHeaderOfAHugeImageCostsNoMemory) {
  std::string bytes = Encode(PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE);
  bytes.replace(16, 8, std::string("\0\0\x40\x00\0\0\x40\x00", 8));  // 16384 x 16384
  const uint32_t checksum = crc32(0, reinterpret_cast<const Bytef*>(bytes.data()) + 12, 17);
  for (int i = 0; i < 4; ++i) bytes[29 + i] = static_cast<char>(checksum >> (24 - 8 * i));
  const absl::Status status = Decode(bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("make it smaller"));
}

TEST(DecodeImageTest, TheContentDecidesNotTheName) {
  Image image{{4, 5, 3}, std::vector<uint8_t>(60, 77)};
  const std::string jpeg = EncodeJpeg(image, 95);
  EXPECT_TRUE(Decode(jpeg).ok());
  EXPECT_TRUE(Whole(jpeg));
  EXPECT_FALSE(Whole(jpeg.substr(0, jpeg.size() - 1)));
  for (const char* text : {"", "GIF89a", "RIFF....WEBP", "\x89PNX\r\n\x1a\n"}) {
    const absl::Status status = Decode(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(*text == 0 ? "empty" : "neither a JPEG nor a PNG file"));
    EXPECT_FALSE(Whole(text));
  }
}

}  // namespace
}  // namespace bitgrad
