// One axis of a convolution: which taps of the kernel lie in the image, for each position of the output.

#ifndef BITGRAD_OPS_CPU_CONV_AXIS_H_
#define BITGRAD_OPS_CPU_CONV_AXIS_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::cpu {

// The taps begin .. end - 1.
struct TapRange {
  int64_t begin;
  int64_t end;

  int64_t size() const { return end - begin; }
  friend bool operator==(const TapRange&, const TapRange&) = default;
};

struct ConvAxis {
  int64_t extent;  // of the image
  int64_t out;     // of the output
  int64_t taps;
  int64_t stride;
  int64_t pad;
  int64_t dilation;

  // The position in the image of the first tap of output position `i`; negative in the border.
  int64_t First(int64_t i) const { return i * stride - pad; }

  // The taps of output position `i` that lie in the image.
  TapRange Inside(int64_t i) const {
    const int64_t first = First(i);
    return {TapsBefore(-first), TapsBefore(extent - first)};
  }

  // The output positions whose taps all lie in the image: [FullBegin(), FullEnd()).
  int64_t FullBegin() const { return std::min(out, DivideUp(pad, stride)); }
  int64_t FullEnd() const {
    return std::clamp(DivideUp(extent + pad - (taps - 1) * dilation, stride), FullBegin(), out);
  }

 private:
  static int64_t DivideUp(int64_t a, int64_t b) { return a <= 0 ? 0 : (a - 1) / b + 1; }

  // How many taps lie less than `distance` after the first one.
  int64_t TapsBefore(int64_t distance) const { return std::min(taps, DivideUp(distance, dilation)); }
};

inline ConvAxis VerticalAxis(const ConvGeometry& g) {
  return {g.height, g.out_height(), g.kernel_height, g.stride_height, g.pad_height, g.dilation_height};
}
inline ConvAxis HorizontalAxis(const ConvGeometry& g) {
  return {g.width, g.out_width(), g.kernel_width, g.stride_width, g.pad_width, g.dilation_width};
}

// Calls body(pixel, image, p, q_begin, q_end) for each row, or part of a row, of the output pixels [begin, end). Pixels
// are counted over all images; `pixel` is the one at q_begin.
template <typename Body>
void ForEachOutputRow(const ConvGeometry& g, int64_t begin, int64_t end, const Body& body) {
  const int64_t height = g.out_height(), width = g.out_width();
  while (begin < end) {
    const int64_t row = begin / width, q = begin % width;
    const int64_t q_end = std::min(width, q + end - begin);
    body(begin, row / height, row % height, q, q_end);
    begin += q_end - q;
  }
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_CONV_AXIS_H_
