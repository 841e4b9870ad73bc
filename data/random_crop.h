// RandomCrop: a frame of `padding` black pixels around the image, then a crop back to its size at a random place.
//
//   y[r, c] = x[r + dy, c + dx], 0 outside;   dy, dx uniform in {-padding, .., padding}

#ifndef BITGRAD_DATA_RANDOM_CROP_H_
#define BITGRAD_DATA_RANDOM_CROP_H_

#include "bitgrad/data/image_transform.h"

namespace bitgrad {

class RandomCrop final : public ImageTransform {
 public:
  // REQUIRES: padding >= 0.
  explicit RandomCrop(int padding) : padding_(padding) {}

  // InvalidArgument unless the padding is smaller than both sides: some of the image is always left.
  absl::Status Check(const ImageShape& shape) const override;
  void Apply(const ImageShape& shape, uint8_t* pixels, RandomDraws& draws) const override;

 private:
  int padding_;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_RANDOM_CROP_H_
