// The images on which the logits in tests/golden/ were computed.

#ifndef BITGRAD_TESTS_GOLDEN_GOLDEN_NETS_H_
#define BITGRAD_TESTS_GOLDEN_GOLDEN_NETS_H_

#include <cstdint>

#include "bitgrad/core/tensor.h"

namespace bitgrad {

// Pixels [count, 16] of images of 4x4x1.
inline Tensor GoldenPixels(int64_t count = 24) {
  Tensor pixels({count, 16}, DType::kUint8);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < 16; ++j) {
      pixels.mutable_data<uint8_t>()[i * 16 + j] = static_cast<uint8_t>((i * i * 53 + j * 29 + i * j * 7 + 11) % 256);
    }
  }
  return pixels;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_GOLDEN_GOLDEN_NETS_H_
