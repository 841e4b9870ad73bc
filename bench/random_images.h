// A batch of random pixels, as bytes and in the form that nets take.

#ifndef BITGRAD_BENCH_RANDOM_IMAGES_H_
#define BITGRAD_BENCH_RANDOM_IMAGES_H_

#include <cstdint>

#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/data/normalize.h"

namespace bitgrad {

struct RandomImages {
  RandomImages(int64_t batch, int64_t features)
      : pixels({batch, features}, DType::kUint8), images({batch, features}, DType::kFloat32) {
    const RngStream rng{.seed = 3};
    for (int64_t i = 0; i < pixels.num_elements(); ++i) {
      pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(RandomWord(rng, static_cast<uint64_t>(i)));
      images.mutable_data<float>()[i] = NormalizePixel(pixels.data<uint8_t>()[i]);
    }
  }
  Tensor pixels;  // [batch, features] uint8
  Tensor images;  // [batch, features] float32 in [-1, 1]
};

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_RANDOM_IMAGES_H_
