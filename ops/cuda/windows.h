// The windows of a pool along one axis of an image that has `extent` elements: window p consists of those elements p
// stride - pad + r, r < kernel, that lie inside the image.

#ifndef BITGRAD_OPS_CUDA_WINDOWS_H_
#define BITGRAD_OPS_CUDA_WINDOWS_H_

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct Interval {
  int begin, end;  // end is exclusive

  __device__ int size() const { return end - begin; }
};

struct WindowAxis {
  int extent, kernel, stride, pad;
  int windows;  // the number of windows

  WindowAxis(int64_t extent, int64_t kernel, int64_t stride, int64_t pad, int64_t windows)
      : extent(static_cast<int>(extent)),
        kernel(static_cast<int>(kernel)),
        stride(static_cast<int>(stride)),
        pad(static_cast<int>(pad)),
        windows(static_cast<int>(windows)) {}

  // The elements of window p.
  __device__ Interval Elements(int p) const {
    const int first = p * stride - pad;
    return {max(0, first), min(extent, first + kernel)};
  }
  // The windows that contain element i: those with p stride <= i + pad < p stride + kernel.
  __device__ Interval WindowsOf(int i) const {
    const int before = i + pad - kernel;  // a window that starts at or before `before` ends before element i
    return {before < 0 ? 0 : before / stride + 1, min(windows, (i + pad) / stride + 1)};
  }
  // The position of element i in window p, where elements outside the image count as well.
  __device__ int Offset(int p, int i) const { return i + pad - p * stride; }
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

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_WINDOWS_H_
