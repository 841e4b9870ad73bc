#include "bitgrad/data/random_crop.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace bitgrad {

absl::Status RandomCrop::Check(const ImageShape& shape) const {
  if (padding_ < std::min(shape.height, shape.width)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("crop(", padding_, ") of images of ", shape.ToString(),
                                                 ": the padding has to be smaller than the image"));
}

void RandomCrop::Apply(const ImageShape& shape, uint8_t* pixels, RandomDraws& draws) const {
  const uint32_t places = 2 * padding_ + 1;
  const int64_t dy = static_cast<int64_t>(draws.Below(places)) - padding_;
  const int64_t dx = static_cast<int64_t>(draws.Below(places)) - padding_;
  const int64_t row_bytes = shape.width * shape.channels;
  const int64_t left = std::max<int64_t>(-dx, 0) * shape.channels;  // black bytes on the left,
  const int64_t right = std::max<int64_t>(dx, 0) * shape.channels;  // and on the right
  for (int64_t i = 0; i < shape.height; ++i) {
    // In place: rows that are still to be read must not be written yet.
    const int64_t row = dy >= 0 ? i : shape.height - 1 - i;
    uint8_t* to = pixels + row * row_bytes;
    if (row + dy < 0 || row + dy >= shape.height) {
      std::memset(to, 0, row_bytes);
      continue;
    }
    std::memmove(to + left, to + dy * row_bytes + right, row_bytes - left - right);
    std::memset(to, 0, left);
    std::memset(to + row_bytes - right, 0, right);
  }
}

}  // namespace bitgrad
