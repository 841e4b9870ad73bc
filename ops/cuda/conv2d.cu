// Float convolutions as products of patch matrices (im2col). Patches are copied in chunks that take bounded memory:
//
//   y = patches w^T        dw = dy^T patches, added up over chunks        d_patches = dy w, from which dx is gathered
//
// Kernels of 1 x 1 without stride and border need no copy. By an H200's limits (4.8 TB/s, 67 TFLOPS; not measured),
// writing and reading a patch takes as long as its product with 60 filters; with 512 filters it is a tenth. Groups are
// convolved one after the other, except many small ones (depthwise), which direct_conv2d.h convolves all at once.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/direct_conv2d.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/gather_patches.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

template <int kChannels>
struct alignas(kChannels * sizeof(float)) Channels {
  float value[kChannels];
};

// dx[n, h, w, c] = the sum of d_patches over all taps and patches that contain the element, in the order of the taps.
// `dx` points to channel 0 of the group in the chunk's first image.
template <int kChannels>
__global__ void GatherGradientKernel(ConvPixels pixels, int out_height, int out_width, Divisor height, Divisor width,
                                     Divisor groups, Divisor stride_height, Divisor stride_width,
                                     const float* d_patches, int64_t count, int64_t stride, float* dx) {
  ForEachElement(count, [&](int64_t k) {
    uint32_t c = static_cast<uint32_t>(k);
    uint32_t w = groups.Divide(&c);
    uint32_t h = width.Divide(&w);
    const uint32_t image = height.Divide(&h);
    Channels<kChannels> sum = {};
    for (int r = 0; r < pixels.kernel_height; ++r) {
      const int from_top = static_cast<int>(h) + pixels.pad_height - r * pixels.dilation_height;
      if (from_top < 0) break;
      uint32_t left_over = static_cast<uint32_t>(from_top);
      const int p = static_cast<int>(stride_height.Divide(&left_over));
      if (left_over != 0 || p >= out_height) continue;
      for (int s = 0; s < pixels.kernel_width; ++s) {
        const int from_left = static_cast<int>(w) + pixels.pad_width - s * pixels.dilation_width;
        if (from_left < 0) break;
        left_over = static_cast<uint32_t>(from_left);
        const int q = static_cast<int>(stride_width.Divide(&left_over));
        if (left_over != 0 || q >= out_width) continue;
        const int64_t row = (static_cast<int64_t>(image) * out_height + p) * out_width + q;
        const int64_t column = (static_cast<int64_t>(r * pixels.kernel_width + s) * groups.divisor() + c) * kChannels;
        const auto v = *reinterpret_cast<const Channels<kChannels>*>(d_patches + row * stride + column);
#pragma unroll
        for (int i = 0; i < kChannels; ++i) sum.value[i] += v.value[i];
      }
    }
    const int64_t pixel = (static_cast<int64_t>(image) * height.divisor() + h) * width.divisor() + w;
    *reinterpret_cast<Channels<kChannels>*>(dx + pixel * pixels.channels + c * kChannels) = sum;
  });
}

bool Aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// A convolution, with access to the matrices that a group's product takes.
struct FloatConv {
  ExecContext& context;
  const ConvGeometry& g;

  // Whether the patches are the image itself.
  bool direct() const {
    return g.kernel_height == 1 && g.kernel_width == 1 && g.stride_height == 1 && g.stride_width == 1 &&
           !g.has_border();
  }
  int64_t image() const { return g.height * g.width * g.channels; }
  // The distance between patches: a multiple of 16 bytes.
  int64_t stride() const { return (g.patch_size() + 3) / 4 * 4; }
  bool fours(const float* x) const { return g.channels % 4 == 0 && g.group_channels() % 4 == 0 && Aligned(x); }

  template <typename T>
  MatrixView<T> Filters(T* w, int64_t group) const {
    return {w + group * g.group_filters() * g.patch_size(), g.group_filters(), g.patch_size()};
  }
  template <typename T>
  MatrixView<T> Outputs(T* y, int64_t group, const PixelChunk& chunk) const {
    return {y + chunk.begin(g) * g.filters + group * g.group_filters(), chunk.rows, g.group_filters(), g.filters};
  }
  template <typename T>
  MatrixView<T> DirectPatches(T* x, int64_t group, const PixelChunk& chunk) const {
    return {x + chunk.begin(g) * g.channels + group * g.group_channels(), chunk.rows, g.group_channels(), g.channels};
  }
  MatrixView<float> PatchesIn(float* scratch, const PixelChunk& chunk) const {
    return {scratch, chunk.rows, g.patch_size(), stride()};
  }

  // Calls f(chunk, scratch) for all chunks of output pixels; scratch has room for the chunk's patches.
  template <typename F>
  void ForEachChunkOfPatches(bool whole_images, const F& f) const {
    const int64_t bytes = direct() ? 0 : stride() * sizeof(float);
    ForEachChunk(g, kMostChunkBytes, bytes, whole_images, [&](const PixelChunk& chunk) {
      const Scratch<float> scratch(context, direct() ? 0 : chunk.rows * stride());
      f(chunk, scratch.data());
    });
  }

  // The patches of a chunk: in place, or gathered into scratch.
  ConstMatrixView<float> Gather(const float* x, int64_t group, const PixelChunk& chunk, float* scratch) const {
    if (direct()) return DirectPatches(x, group, chunk);
    ConvGeometry bytes = g;
    bytes.channels *= sizeof(float);
    const int64_t image_bytes = image() * sizeof(float);
    GatherPatches(context, "conv2d_f32", bytes, chunk, group,
                  {reinterpret_cast<const uint8_t*>(x), g.batch, image_bytes}, 0,
                  {reinterpret_cast<uint8_t*>(scratch), chunk.rows, bytes.patch_size(),
                   stride() * static_cast<int64_t>(sizeof(float))});
    return PatchesIn(scratch, chunk);
  }

  template <int kChannels>
  void ScatterBy(const float* patches, const PixelChunk& chunk, float* to) const {
    const int64_t groups = g.group_channels() / kChannels;
    const int64_t image = g.height * g.width * groups;
    const int64_t images = chunk.rows / (g.out_height() * g.out_width());
    BITGRAD_CHECK(images * image < kMostDividends);
    Launch(context, "conv2d_backward_input_f32", GatherGradientKernel<kChannels>, OverElements(images * image),
           ConvPixels(g, chunk), static_cast<int>(g.out_height()), static_cast<int>(g.out_width()), Divisor(g.height),
           Divisor(g.width), Divisor(groups), Divisor(g.stride_height), Divisor(g.stride_width), patches,
           images * image, stride(), to);
  }
  // Makes the gradient of a chunk's images from the gradients of their patches. REQUIRES: the chunk consists of whole
  // images.
  void Scatter(const float* patches, int64_t group, const PixelChunk& chunk, float* dx) const {
    float* const to = dx + chunk.image * image() + group * g.group_channels();
    if (fours(to)) {
      ScatterBy<4>(patches, chunk, to);
    } else {
      ScatterBy<1>(patches, chunk, to);
    }
  }
};

void CheckFloatGeometry([[maybe_unused]] const ConvGeometry& g) {
  BITGRAD_DCHECK(g.padding == Padding::kZero || !g.has_border());
  BITGRAD_DCHECK(g.channels % g.groups == 0 && g.filters % g.groups == 0);
  BITGRAD_DCHECK(g.batch > 0 && g.filters > 0 && g.patch_size() > 0 && g.out_height() > 0 && g.out_width() > 0);
}

}  // namespace

void Conv2dF32(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* w, float* y) {
  CheckFloatGeometry(geometry);
  if (ConvolvesDirectly(geometry)) return DirectConv2dF32(context, geometry, x, w, y);
  const FloatConv conv = {context, geometry};
  conv.ForEachChunkOfPatches(/*whole_images=*/false, [&](const PixelChunk& chunk, float* scratch) {
    for (int64_t group = 0; group < geometry.groups; ++group) {
      const ConstMatrixView<float> patches = conv.Gather(x, group, chunk, scratch);
      GemmF32(context, false, true, 1.0f, patches, conv.Filters(w, group), 0.0f, conv.Outputs(y, group, chunk));
    }
  });
}

void Conv2dBackwardInputF32(ExecContext& context, const ConvGeometry& geometry, const float* dy, const float* w,
                            float* dx) {
  CheckFloatGeometry(geometry);
  if (ConvolvesDirectly(geometry)) return DirectConv2dBackwardInputF32(context, geometry, dy, w, dx);
  const FloatConv conv = {context, geometry};
  conv.ForEachChunkOfPatches(/*whole_images=*/true, [&](const PixelChunk& chunk, float* scratch) {
    for (int64_t group = 0; group < geometry.groups; ++group) {
      const MatrixView<float> patches =
          conv.direct() ? conv.DirectPatches(dx, group, chunk) : conv.PatchesIn(scratch, chunk);
      GemmF32(context, false, false, 1.0f, conv.Outputs(dy, group, chunk), conv.Filters(w, group), 0.0f, patches);
      if (!conv.direct()) conv.Scatter(scratch, group, chunk, dx);
    }
  });
}

void Conv2dBackwardWeightF32(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* dy,
                             float* dw) {
  CheckFloatGeometry(geometry);
  if (ConvolvesDirectly(geometry)) return DirectConv2dBackwardWeightF32(context, geometry, x, dy, dw);
  const FloatConv conv = {context, geometry};
  conv.ForEachChunkOfPatches(/*whole_images=*/false, [&](const PixelChunk& chunk, float* scratch) {
    const float beta = chunk.begin(geometry) == 0 ? 0.0f : 1.0f;
    for (int64_t group = 0; group < geometry.groups; ++group) {
      const ConstMatrixView<float> patches = conv.Gather(x, group, chunk, scratch);
      GemmF32(context, true, false, 1.0f, conv.Outputs(dy, group, chunk), patches, beta, conv.Filters(dw, group));
    }
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
