// RandomFlip: left and right change places, for every second image on average.

#ifndef BITGRAD_DATA_RANDOM_FLIP_H_
#define BITGRAD_DATA_RANDOM_FLIP_H_

#include "bitgrad/data/image_transform.h"

namespace bitgrad {

class RandomFlip final : public ImageTransform {
 public:
  absl::Status Check(const ImageShape&) const override { return absl::OkStatus(); }
  void Apply(const ImageShape& shape, uint8_t* pixels, RandomDraws& draws) const override;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_RANDOM_FLIP_H_
