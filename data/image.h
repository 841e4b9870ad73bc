// Image: one image of bytes.

#ifndef BITGRAD_DATA_IMAGE_H_
#define BITGRAD_DATA_IMAGE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/data/image_shape.h"

namespace bitgrad {

struct Image {
  ImageShape shape;
  std::vector<uint8_t> pixels;  // [height, width, channels]
};

// The largest image that is decoded: a file's claim alone must not cost memory without bound.
constexpr int64_t kMaxImageSide = 1 << 14;
constexpr int64_t kMaxImagePixels = 1 << 26;

constexpr bool IsTooLarge(int64_t height, int64_t width) {
  return height > kMaxImageSide || width > kMaxImageSide || height * width > kMaxImagePixels;
}

inline absl::Status TooLargeError() {
  return absl::InvalidArgumentError(absl::StrCat("it has more than ", kMaxImageSide, " pixels a side, or ",
                                                 kMaxImagePixels, " in all; make it smaller"));
}

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_H_
