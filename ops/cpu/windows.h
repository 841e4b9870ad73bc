// The windows of a pool along one axis of an image that has `extent` elements: window p consists of those elements p
// stride - pad + r, r < kernel, that lie inside the image.

#ifndef BITGRAD_OPS_CPU_WINDOWS_H_
#define BITGRAD_OPS_CPU_WINDOWS_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad::cpu {

struct Interval {
  int64_t begin = 0;
  int64_t end = 0;  // exclusive; the interval is empty where end <= begin

  int64_t size() const { return end - begin; }
};

struct WindowAxis {
  int64_t extent, kernel, stride, pad;
  int64_t windows;  // the number of windows

  // The elements of window p.
  Interval Elements(int64_t p) const {
    const int64_t first = p * stride - pad;
    return {std::max<int64_t>(0, first), std::min(extent, first + kernel)};
  }
  // The windows that contain element i: those with p stride <= i + pad < p stride + kernel.
  Interval WindowsOf(int64_t i) const {
    const int64_t before = i + pad - kernel;  // a window that starts at or before `before` ends before element i
    return {before < 0 ? 0 : before / stride + 1, std::min(windows, (i + pad) / stride + 1)};
  }
  // The position of element i in window p, where elements outside the image count as well.
  int64_t Offset(int64_t p, int64_t i) const { return i + pad - p * stride; }
};

inline WindowAxis HeightAxis(const PoolGeometry& g) {
  return {g.height, g.kernel_height, g.stride_height, g.pad_height, g.out_height()};
}
inline WindowAxis WidthAxis(const PoolGeometry& g) {
  return {g.width, g.kernel_width, g.stride_width, g.pad_width, g.out_width()};
}

inline void CheckPoolGeometry([[maybe_unused]] const PoolGeometry& g) {
  BITGRAD_DCHECK(g.pad_height < g.kernel_height && g.pad_width < g.kernel_width);
  BITGRAD_DCHECK(g.out_height() >= 1 && g.out_width() >= 1);
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_WINDOWS_H_
