// The windows of a pool along one axis of an image that has `extent` elements: window p consists of those elements p
// stride - pad + r, r < kernel, that lie inside the image.
//
// All functions are constexpr, so that nvcc compiles them for the GPU as they are. Int is int64_t on the CPU and int on
// the GPU, whose integer units have 32 bits.

#ifndef BITGRAD_OPS_KERNELS_WINDOWS_H_
#define BITGRAD_OPS_KERNELS_WINDOWS_H_

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad {

template <typename Int>
struct WindowInterval {
  Int begin;
  Int end;  // exclusive; the interval is empty where end <= begin

  constexpr Int size() const { return end - begin; }
};

template <typename Int>
struct WindowAxisOf {
  using Interval = WindowInterval<Int>;

  Int extent, kernel, stride, pad;
  Int windows;  // the number of windows

  // The elements of window p.
  constexpr Interval Elements(Int p) const {
    const Int first = p * stride - pad;
    const Int end = first + kernel;
    return {first < 0 ? 0 : first, end < extent ? end : extent};
  }
  // The windows that contain element i: those with p stride <= i + pad < p stride + kernel.
  constexpr Interval WindowsOf(Int i) const {
    const Int before = i + pad - kernel;  // a window that starts at or before `before` ends before element i
    const Int end = (i + pad) / stride + 1;
    return {before < 0 ? 0 : before / stride + 1, end < windows ? end : windows};
  }
  // Whether no window reaches over a border.
  constexpr bool AllInside() const { return pad == 0 && (windows - 1) * stride + kernel <= extent; }
  // The position of element i in window p, where elements outside the image count as well.
  constexpr Int Offset(Int p, Int i) const { return i + pad - p * stride; }
};

template <typename Int>
constexpr WindowAxisOf<Int> HeightAxis(const PoolGeometry& g) {
  return {static_cast<Int>(g.height), static_cast<Int>(g.kernel_height), static_cast<Int>(g.stride_height),
          static_cast<Int>(g.pad_height), static_cast<Int>(g.out_height())};
}
template <typename Int>
constexpr WindowAxisOf<Int> WidthAxis(const PoolGeometry& g) {
  return {static_cast<Int>(g.width), static_cast<Int>(g.kernel_width), static_cast<Int>(g.stride_width),
          static_cast<Int>(g.pad_width), static_cast<Int>(g.out_width())};
}

inline void CheckPoolGeometry([[maybe_unused]] const PoolGeometry& g) {
  BITGRAD_DCHECK(g.pad_height < g.kernel_height && g.pad_width < g.kernel_width);
  BITGRAD_DCHECK(!g.partial ||
                 (g.stride_height + g.pad_height <= g.kernel_height && g.stride_width + g.pad_width <= g.kernel_width));
  BITGRAD_DCHECK(g.out_height() >= 1 && g.out_width() >= 1);
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_WINDOWS_H_
