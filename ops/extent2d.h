// Extent2d: a height and a width, of windows, strides and borders; one number stands for both.

#ifndef BITGRAD_OPS_EXTENT2D_H_
#define BITGRAD_OPS_EXTENT2D_H_

#include <cstdint>

namespace bitgrad {

struct Extent2d {
  int64_t height = 0;
  int64_t width = 0;
  Extent2d(int64_t both) : height(both), width(both) {}  // NOLINT: `.stride = 2` is how it is used
  Extent2d(int64_t height, int64_t width) : height(height), width(width) {}
};

}  // namespace bitgrad

#endif  // BITGRAD_OPS_EXTENT2D_H_
