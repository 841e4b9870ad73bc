// Extent2d: a height and a width, as of windows, strides and borders. One number stands for both.

#ifndef BITGRAD_OPS_EXTENT2D_H_
#define BITGRAD_OPS_EXTENT2D_H_

#include <cstdint>

namespace bitgrad {

// The most that kernels, strides, pads and dilations of convolutions and pools may be: more than any image has, and
// small enough that the product of two of them and an image's extent fits an int64.
inline constexpr int64_t kMaxWindowExtent = int64_t{1} << 19;

struct Extent2d {
  int64_t height = 0;
  int64_t width = 0;
  Extent2d(int64_t both) : height(both), width(both) {}  // NOLINT: `.stride = 2` is how it is used
  Extent2d(int64_t height, int64_t width) : height(height), width(width) {}
};

}  // namespace bitgrad

#endif  // BITGRAD_OPS_EXTENT2D_H_
