// One axis of a convolution: which taps of the kernel meet the image, for each position of the output.

#ifndef BITGRAD_OPS_CPU_CONV_AXIS_H_
#define BITGRAD_OPS_CPU_CONV_AXIS_H_

#include <algorithm>
#include <cstdint>

#include "ops/kernels/conv2d.h"

namespace bitgrad::cpu {

// The taps [begin, end).
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

  // Where the first tap of output position `i` lies in the image; negative in the border.
  int64_t First(int64_t i) const { return i * stride - pad; }

  // The taps of output position `i` that lie in the image.
  TapRange Inside(int64_t i) const {
    const int64_t first = First(i);
    if (first >= 0 && first + (taps - 1) * dilation < extent) return {0, taps};  // nearly always, without a division
    return {TapsBelow(-first), TapsBelow(extent - first)};
  }

 private:
  // How many taps lie less than `distance` after the first.
  int64_t TapsBelow(int64_t distance) const {
    return distance <= 0 ? 0 : std::min(taps, (distance - 1) / dilation + 1);
  }
};

inline ConvAxis VerticalAxis(const ConvGeometry& g) {
  return {g.height, g.out_height(), g.kernel_height, g.stride_height, g.pad_height, g.dilation_height};
}
inline ConvAxis HorizontalAxis(const ConvGeometry& g) {
  return {g.width, g.out_width(), g.kernel_width, g.stride_width, g.pad_width, g.dilation_width};
}

// Calls body(row, image, p, q) for the output pixels [begin, end), counted over all images; row = pixel - begin.
template <typename Body>
inline __attribute__((always_inline)) void ForEachPixel(const ConvGeometry& g, int64_t begin, int64_t end,
                                                        const Body& body) {
  const int64_t height = g.out_height(), width = g.out_width();
  int64_t image = begin / (height * width), p = begin / width % height, q = begin % width;
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    body(pixel - begin, image, p, q);
    if (++q < width) continue;
    q = 0;
    if (++p < height) continue;
    p = 0;
    ++image;
  }
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_CONV_AXIS_H_
