// ColorJitter: random brightness, contrast and saturation.
//
//   x1 = b x              b uniform in [max(0, 1 - brightness), 1 + brightness]
//   x2 = m + c (x1 - m)   c likewise, from contrast; m is the mean luma of x1 over the image
//   x3 = l + s (x2 - l)   s likewise, from saturation; l is the luma of x2 at the pixel
//   y  = x3 rounded to nearest, ties up, and clamped to [0, 255]
//
// luma = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). Nothing is clamped or rounded in between.

#ifndef BITGRAD_DATA_COLOR_JITTER_H_
#define BITGRAD_DATA_COLOR_JITTER_H_

#include "bitgrad/data/image_transform.h"

namespace bitgrad {

class ColorJitter final : public ImageTransform {
 public:
  // REQUIRES: none is negative.
  ColorJitter(float brightness, float contrast, float saturation)
      : brightness_(brightness), contrast_(contrast), saturation_(saturation) {}

  // InvalidArgument unless there are 3 channels (RGB).
  absl::Status Check(const ImageShape& shape) const override;
  void Apply(const ImageShape& shape, uint8_t* pixels, RandomDraws& draws) const override;

 private:
  float brightness_;
  float contrast_;
  float saturation_;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_COLOR_JITTER_H_
