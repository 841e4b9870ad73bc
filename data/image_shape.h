// Extents of an image.

#ifndef BITGRAD_DATA_IMAGE_SHAPE_H_
#define BITGRAD_DATA_IMAGE_SHAPE_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace bitgrad {

// Pixels lie as [height, width, channels], row-major.
struct ImageShape {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;

  // Values per image.
  int64_t features() const { return height * width * channels; }
  // "32x32x3".
  std::string ToString() const { return absl::StrCat(height, "x", width, "x", channels); }
  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_SHAPE_H_
