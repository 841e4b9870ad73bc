// Image: one image of bytes.

#ifndef BITGRAD_DATA_IMAGE_H_
#define BITGRAD_DATA_IMAGE_H_

#include <cstdint>
#include <vector>

#include "bitgrad/data/image_shape.h"

namespace bitgrad {

struct Image {
  ImageShape shape;
  std::vector<uint8_t> pixels;  // [height, width, channels]
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_H_
