// The nets whose files lie in tests/golden/, and the images on which their logits were computed.

#ifndef BITGRAD_TESTS_GOLDEN_GOLDEN_NETS_H_
#define BITGRAD_TESTS_GOLDEN_GOLDEN_NETS_H_

#include <string>

#include "absl/strings/str_format.h"
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

// A line per image, the numbers as hexadecimal floats, which lose nothing.
inline std::string LogitsText(const Tensor& logits) {
  std::string text;
  const int64_t cols = logits.shape().cols();
  for (int64_t i = 0; i < logits.num_elements(); ++i) {
    absl::StrAppendFormat(&text, "%a%c", logits.data<float>()[i], (i + 1) % cols == 0 ? '\n' : ' ');
  }
  return text;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_GOLDEN_GOLDEN_NETS_H_
