// Moves the channels of images. Limited by memory, 8 bytes per element. Both directions write one element per thread,
// whose source, if it has one, they look up: adjacent threads have adjacent channels, so that what they read is
// adjacent but where the tap changes.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/divisor.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Not in an anonymous namespace, because device lambdas cannot capture types from there.
struct ShiftAxis {
  int extent, windows, stride, pad;
  Divisor by_extent, by_windows, by_stride;

  ShiftAxis(int64_t extent, int64_t windows, const ShiftGeometry& g)
      : extent(static_cast<int>(extent)),
        windows(static_cast<int>(windows)),
        stride(static_cast<int>(g.stride)),
        pad(static_cast<int>(g.pad())),
        by_extent(extent),
        by_windows(windows),
        by_stride(g.stride) {}

  // The element of x that window p reads with a tap, or -1 outside of the image.
  __device__ int Element(int p, int tap) const {
    const int h = p * stride + tap - pad;
    return h < extent ? h : -1;
  }
  // The window that reads element h with a tap, or -1 where there is none.
  __device__ int Window(int h, int tap) const {
    const int from = h + pad - tap;
    if (from < 0) return -1;
    uint32_t rest = static_cast<uint32_t>(from);
    const int p = static_cast<int>(by_stride.Divide(&rest));
    return rest == 0 && p < windows ? p : -1;
  }
};

struct ShiftPlaces {
  ShiftAxis height, width;
  Divisor by_kernel;

  explicit ShiftPlaces(const ShiftGeometry& g)
      : height(g.height, g.out_height(), g), width(g.width, g.out_width(), g), by_kernel(g.kernel) {}

  // The pixel of x that pixel `pixel` of y reads with a tap, or -1.
  __device__ int64_t Source(uint32_t pixel, uint32_t tap) const {
    uint32_t q = pixel;
    uint32_t p = width.by_windows.Divide(&q);
    const uint32_t n = height.by_windows.Divide(&p), r = by_kernel.Divide(&tap);
    const int h = height.Element(static_cast<int>(p), static_cast<int>(r));
    const int w = width.Element(static_cast<int>(q), static_cast<int>(tap));
    return h < 0 || w < 0 ? -1 : (static_cast<int64_t>(n) * height.extent + h) * width.extent + w;
  }
  // The pixel of y that reads pixel `pixel` of x with a tap, or -1.
  __device__ int64_t Target(uint32_t pixel, uint32_t tap) const {
    uint32_t w = pixel;
    uint32_t h = width.by_extent.Divide(&w);
    const uint32_t n = height.by_extent.Divide(&h), r = by_kernel.Divide(&tap);
    const int p = height.Window(static_cast<int>(h), static_cast<int>(r));
    const int q = width.Window(static_cast<int>(w), static_cast<int>(tap));
    return p < 0 || q < 0 ? -1 : (static_cast<int64_t>(n) * height.windows + p) * width.windows + q;
  }
};

void ShiftChannelsForward(ExecContext& context, const ShiftGeometry& geometry, const uint8_t* taps, const float* x,
                          float* y) {
  const int64_t pixels = geometry.batch * geometry.out_height() * geometry.out_width(), channels = geometry.channels;
  BITGRAD_CHECK(pixels < kMostDividends);
  if (pixels * channels == 0) return;
  const ShiftPlaces places(geometry);
  ForCells(context, "shift_channels_forward", pixels, channels, [=] __device__(int64_t pixel, int64_t c) {
    const int64_t from = places.Source(static_cast<uint32_t>(pixel), taps[c]);
    y[pixel * channels + c] = from < 0 ? 0.0f : x[from * channels + c];
  });
}

void ShiftChannelsBackward(ExecContext& context, const ShiftGeometry& geometry, const uint8_t* taps, const float* dy,
                           float* dx) {
  const int64_t pixels = geometry.batch * geometry.height * geometry.width, channels = geometry.channels;
  BITGRAD_CHECK(pixels < kMostDividends);
  if (pixels * channels == 0) return;
  const ShiftPlaces places(geometry);
  ForCells(context, "shift_channels_backward", pixels, channels, [=] __device__(int64_t pixel, int64_t c) {
    const int64_t from = places.Target(static_cast<uint32_t>(pixel), taps[c]);
    dx[pixel * channels + c] = from < 0 ? 0.0f : dy[from * channels + c];
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
