// Pooling of images of stored codes. One thread computes one element; adjacent threads have adjacent channels. Limited
// by memory: each code is read once (where windows overlap, later reads come from a cache).

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/levels.h"
#include "bitgrad/ops/cuda/plane_codes.h"
#include "bitgrad/ops/kernels/windows.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

using CodeWindowAxis = WindowAxisOf<int>;

// The windows of images of codes. Not in an anonymous namespace, because device lambdas cannot capture types from
// there.
struct CodeWindows {
  CodeWindowAxis height, width;
  int64_t channels;
  const uint8_t* x;

  struct Window {
    CodeWindowAxis::Interval rows, cols;
    const uint8_t* x;  // the channel in the image's first pixel
    int64_t line, channels;

    __device__ __forceinline__ uint8_t At(int h, int w) const { return x[h * line + w * channels]; }
  };
  // The window of channel c of output pixel `pixel`, counted over all images.
  __device__ __forceinline__ Window At(int64_t pixel, int64_t c) const {
    const int64_t row = pixel / width.windows;
    const int q = static_cast<int>(pixel - row * width.windows);
    const int64_t image = row / height.windows;
    const int p = static_cast<int>(row - image * height.windows);
    const int64_t line = static_cast<int64_t>(width.extent) * channels;
    return {height.Elements(p), width.Elements(q), x + image * height.extent * line + c, line, channels};
  }
};

void MaxPoolCodes(ExecContext& context, const PoolGeometry& geometry, const uint8_t* x, int levels, const uint8_t* flip,
                  uint8_t* y) {
  CheckPoolGeometry(geometry);
  BITGRAD_DCHECK(levels >= 1 && levels <= kMaxLevels);
  const int64_t channels = geometry.channels;
  const CodeWindows windows = {HeightAxis<int>(geometry), WidthAxis<int>(geometry), channels, x};
  ForCells(context, "max_pool_codes", geometry.pixels(), channels, [=] __device__(int64_t pixel, int64_t c) {
    const CodeWindows::Window window = windows.At(pixel, c);
    int most = 0;
    for (int h = window.rows.begin; h < window.rows.end; ++h) {
      for (int w = window.cols.begin; w < window.cols.end; ++w) most = max(most, static_cast<int>(window.At(h, w)));
    }
    y[pixel * channels + c] = static_cast<uint8_t>(flip != nullptr && flip[c] != 0 ? levels - most : most);
  });
}

void AveragePoolCodes(ExecContext& context, const PoolGeometry& geometry, const Encoding& encoding, const uint8_t* x,
                      const DotOutput& out) {
  CheckPoolGeometry(geometry);
  BITGRAD_DCHECK(SumIsExact(encoding, geometry) && out.scale.is_uniform() && out.cols() == geometry.channels);
  const int64_t channels = geometry.channels;
  const CodeWindows windows = {HeightAxis<int>(geometry), WidthAxis<int>(geometry), channels, x};
  const DecodedCodes decoded(encoding);
  const Levels levels(out);
  const ScaleView scale = out.scale;
  float* const floats = out.floats.data;
  uint8_t* const codes = out.codes.data;
  ForCells(context, "average_pool_codes", geometry.pixels(), channels, [=] __device__(int64_t pixel, int64_t c) {
    const CodeWindows::Window window = windows.At(pixel, c);
    const int32_t count = window.rows.size() * window.cols.size();
    int32_t sum = 0;
    for (int h = window.rows.begin; h < window.rows.end; ++h) {
      for (int w = window.cols.begin; w < window.cols.end; ++w) sum += decoded.Of<int32_t>(window.At(h, w));
    }
    if (floats != nullptr) {
      floats[pixel * channels + c] = static_cast<float>(sum) * (scale.at(0) / static_cast<float>(count));
    } else {
      codes[pixel * channels + c] = levels.Code(c, sum);
    }
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
