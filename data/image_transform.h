// ImageTransform: one random change of a training image; a list of them is the augmentation of a data set.
//
//   std::vector<std::shared_ptr<const ImageTransform>> augmentation = {
//       std::make_shared<RandomCrop>(4), std::make_shared<RandomFlip>()};
//
// Transforms work on bytes, in place, before pixels become floats. So the net sees whole numbers in training, as it
// does in use, and a packed first layer gets integers from both (normalize.h).

#ifndef BITGRAD_DATA_IMAGE_TRANSFORM_H_
#define BITGRAD_DATA_IMAGE_TRANSFORM_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/data/image_shape.h"

namespace bitgrad {

// The random numbers of one image, in the order of their use. They are a function of (seed, epoch, example) alone, so
// that neither threads nor a resumed run change them.
class RandomDraws {
 public:
  RandomDraws(uint64_t seed, int64_t epoch, int64_t example)
      : rng_{.seed = seed,
             .purpose = RngPurpose::kAugment,
             .step = static_cast<uint32_t>(epoch),
             .stream = static_cast<uint32_t>(example)} {}

  // In [0, n). REQUIRES: n > 0.
  uint32_t Below(uint32_t n) { return UniformBelow(rng_, next_++, n); }
  // In [low, high].
  float Between(float low, float high) { return low + (high - low) * Uniform(rng_, next_++); }

 private:
  RngStream rng_;
  uint64_t next_ = 0;
};

// Immutable; used by several threads at a time.
class ImageTransform {
 public:
  virtual ~ImageTransform() = default;

  // Whether images of this shape can be transformed; InvalidArgument says why not.
  virtual absl::Status Check(const ImageShape& shape) const = 0;
  // Changes the image in place. REQUIRES: Check(shape).ok().
  virtual void Apply(const ImageShape& shape, uint8_t* pixels, RandomDraws& draws) const = 0;
};

using Augmentation = std::vector<std::shared_ptr<const ImageTransform>>;

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_TRANSFORM_H_
