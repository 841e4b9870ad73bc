#include "bitgrad/data/random_flip.h"

#include <algorithm>

namespace bitgrad {

void RandomFlip::Apply(const ImageShape& shape, uint8_t* pixels, RandomDraws& draws) const {
  if (draws.Below(2) == 0) return;
  const int64_t channels = shape.channels;
  for (int64_t row = 0; row < shape.height; ++row) {
    uint8_t* left = pixels + row * shape.width * channels;
    uint8_t* right = left + (shape.width - 1) * channels;
    for (; left < right; left += channels, right -= channels) {
      std::swap_ranges(left, left + channels, right);
    }
  }
}

}  // namespace bitgrad
