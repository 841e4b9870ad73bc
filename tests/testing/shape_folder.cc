#include "bitgrad/tests/testing/shape_folder.h"

// jpeglib.h uses FILE and size_t without including their declarations.
#include <jpeglib.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/rng.h"

namespace bitgrad {
namespace {

constexpr const char* kClasses[] = {"disc", "ring", "square"};

// Whether the shape covers the point at (x, y) from its centre, in units of its radius.
bool Covers(int shape, double x, double y) {
  const double distance = std::sqrt(x * x + y * y);
  if (shape == 0) return distance < 1;
  if (shape == 1) return distance < 1 && distance > 0.6;
  return std::max(std::fabs(x), std::fabs(y)) < 0.85;
}

Image DrawShape(int shape, int64_t side, const RngStream& rng) {
  const auto between = [&](uint64_t i, double low, double high) { return low + (high - low) * Uniform(rng, i); };
  Image image;
  const int64_t other = static_cast<int64_t>(between(0, 0.7, 1) * static_cast<double>(side));
  const bool wide = Uniform(rng, 1) < 0.5;
  image.shape = {wide ? other : side, wide ? side : other, 3};
  const double radius = between(2, 0.25, 0.4) * static_cast<double>(other);
  const double row = static_cast<double>(image.shape.height) / 2 + between(3, -0.1, 0.1) * radius;
  const double column = static_cast<double>(image.shape.width) / 2 + between(4, -0.1, 0.1) * radius;
  for (int64_t r = 0; r < image.shape.height; ++r) {
    for (int64_t c = 0; c < image.shape.width; ++c) {
      const bool inside = Covers(shape, (static_cast<double>(c) + 0.5 - column) / radius,
                                 (static_cast<double>(r) + 0.5 - row) / radius);
      for (uint64_t k = 0; k < 3; ++k) {
        image.pixels.push_back(static_cast<uint8_t>(inside ? between(5 + k, 150, 255) : between(8 + k, 0, 100)));
      }
    }
  }
  return image;
}

}  // namespace

void WriteShapeFolder(const std::string& directory, int train_per_class, int val_per_class, int64_t side,
                      uint64_t seed) {
  uint32_t stream = 0;
  for (const bool train : {true, false}) {
    for (int shape = 0; shape < 3; ++shape) {
      const std::string folder = absl::StrCat(directory, train ? "/train/" : "/val/", kClasses[shape]);
      std::filesystem::create_directories(folder);
      for (int i = 0; i < (train ? train_per_class : val_per_class); ++i) {
        const RngStream rng{.seed = seed, .stream = stream++};
        const std::string bytes = EncodeJpeg(DrawShape(shape, side, rng), 90);
        std::ofstream file(absl::StrCat(folder, "/", i, ".jpg"), std::ios::binary);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        BITGRAD_CHECK(file.good());
      }
    }
  }
}

std::string EncodeJpeg(const Image& image, int quality, bool ycck) {
  const int channels = static_cast<int>(image.shape.channels);
  BITGRAD_CHECK(channels == 1 || channels == 3 || channels == 4);
  jpeg_compress_struct codec = {};
  jpeg_error_mgr manager;
  codec.err = jpeg_std_error(&manager);  // an error ends the process, which is fine in a test
  jpeg_create_compress(&codec);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&codec, &bytes, &size);
  codec.image_width = static_cast<JDIMENSION>(image.shape.width);
  codec.image_height = static_cast<JDIMENSION>(image.shape.height);
  codec.input_components = channels;
  codec.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&codec);
  if (channels == 4) jpeg_set_colorspace(&codec, ycck ? JCS_YCCK : JCS_CMYK);  // with an Adobe marker
  jpeg_set_quality(&codec, quality, TRUE);
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < codec.image_height) {
    JSAMPROW row =
        const_cast<uint8_t*>(image.pixels.data()) + int64_t{codec.next_scanline} * image.shape.width * channels;
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  jpeg_destroy_compress(&codec);
  std::free(bytes);
  return result;
}

}  // namespace bitgrad
