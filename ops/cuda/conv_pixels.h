// For kernels: the position of each patch of a convolution in its image. Also divides a convolution's output pixels
// into chunks, so that patches take bounded memory.

#ifndef BITGRAD_OPS_CUDA_CONV_PIXELS_H_
#define BITGRAD_OPS_CUDA_CONV_PIXELS_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/divisor.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The output pixels first .. first + rows - 1, counted from the first pixel of image `image`. REQUIRES: pixel `first`
// is in that image.
struct PixelChunk {
  int64_t image;
  int64_t first;
  int64_t rows;

  int64_t begin(const ConvGeometry& g) const { return image * g.out_height() * g.out_width() + first; }
};

// Calls f(chunk) for chunks that cover all output pixels. A chunk has as many pixels as fit into `bytes` bytes of
// memory at `pixel_bytes` each, but at least one pixel and, where `whole_images`, whole images only.
template <typename F>
void ForEachChunk(const ConvGeometry& g, int64_t bytes, int64_t pixel_bytes, bool whole_images, const F& f) {
  const int64_t image = g.out_height() * g.out_width(), pixels = g.batch * image;
  int64_t rows = std::clamp<int64_t>(bytes / std::max<int64_t>(1, pixel_bytes), 1, kMostDividends / 2);
  if (whole_images) rows = std::max<int64_t>(1, rows / image) * image;
  BITGRAD_CHECK(image < kMostDividends / 2);
  for (int64_t begin = 0; begin < pixels; begin += rows) {
    f(PixelChunk{begin / image, begin % image, std::min(rows, pixels - begin)});
  }
}

struct ConvPixels {
  int height, width, channels;  // of the image
  int kernel_height, kernel_width;
  int stride_height, stride_width, pad_height, pad_width, dilation_height, dilation_width;
  Divisor out_height, out_width;
  uint32_t first;  // of PixelChunk

  ConvPixels(const ConvGeometry& g, const PixelChunk& chunk)
      : height(static_cast<int>(g.height)),
        width(static_cast<int>(g.width)),
        channels(static_cast<int>(g.channels)),
        kernel_height(static_cast<int>(g.kernel_height)),
        kernel_width(static_cast<int>(g.kernel_width)),
        stride_height(static_cast<int>(g.stride_height)),
        stride_width(static_cast<int>(g.stride_width)),
        pad_height(static_cast<int>(g.pad_height)),
        pad_width(static_cast<int>(g.pad_width)),
        dilation_height(static_cast<int>(g.dilation_height)),
        dilation_width(static_cast<int>(g.dilation_width)),
        out_height(g.out_height()),
        out_width(g.out_width()),
        first(static_cast<uint32_t>(chunk.first)) {}

  // A patch: its image, counted from the chunk's first image, and the position of its first tap there, which is
  // negative in the border.
  struct Patch {
    int image, h, w;
  };
  __device__ Patch At(uint32_t row) const {
    uint32_t q = first + row;
    uint32_t p = out_width.Divide(&q);
    const uint32_t image = out_height.Divide(&p);
    return {static_cast<int>(image), static_cast<int>(p) * stride_height - pad_height,
            static_cast<int>(q) * stride_width - pad_width};
  }

  __device__ bool Inside(int h, int w) const { return h >= 0 && h < height && w >= 0 && w < width; }
  // Whether all taps lie in the image.
  __device__ bool IsFull(const Patch& patch) const {
    return patch.h >= 0 && patch.h + (kernel_height - 1) * dilation_height < height && patch.w >= 0 &&
           patch.w + (kernel_width - 1) * dilation_width < width;
  }
  // The index of a pixel's first channel in its image.
  __device__ int64_t Channel(int h, int w) const { return (static_cast<int64_t>(h) * width + w) * channels; }
};

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_CONV_PIXELS_H_
