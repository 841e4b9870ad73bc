// One thread computes one element of y or dx. Adjacent threads have adjacent channels, so that their accesses to images
// are adjacent for each tap. Limited by memory for x and y: each element of x is read R S times, all but the first time
// from a cache.

#include "bitgrad/ops/cuda/direct_conv2d.h"

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/column_sums.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

ConvPixels AllPixels(const ConvGeometry& g) {
  BITGRAD_CHECK(g.pixels() < kMostDividends && g.batch * g.height * g.width < kMostDividends);
  return ConvPixels(g, PixelChunk{.image = 0, .first = 0, .rows = g.pixels()});
}

}  // namespace

void DirectConv2dF32(ExecContext& context, const ConvGeometry& g, const float* x, const float* w, float* y) {
  const ConvPixels pixels = AllPixels(g);
  const int channels = static_cast<int>(g.group_channels());
  const int64_t image = g.height * g.width * g.channels, patch_size = g.patch_size(), filters = g.filters;
  const Divisor group_filters(g.group_filters());
  ForCells(context, "direct_conv2d_f32", g.pixels(), filters, [=] __device__(int64_t row, int64_t o) {
    const ConvPixels::Patch patch = pixels.At(static_cast<uint32_t>(row));
    const float* const from = x + patch.image * image + group_filters.Quotient(static_cast<uint32_t>(o)) * channels;
    const float* weight = w + o * patch_size;
    float sum = 0;
    for (int r = 0; r < pixels.kernel_height; ++r) {
      for (int s = 0; s < pixels.kernel_width; ++s, weight += channels) {
        const int h = patch.h + r * pixels.dilation_height, v = patch.w + s * pixels.dilation_width;
        if (!pixels.Inside(h, v)) continue;
        for (int c = 0; c < channels; ++c) sum += from[pixels.Channel(h, v) + c] * weight[c];
      }
    }
    y[row * filters + o] = sum;
  });
}

void DirectConv2dBackwardInputF32(ExecContext& context, const ConvGeometry& g, const float* dy, const float* w,
                                  float* dx) {
  const ConvPixels pixels = AllPixels(g);
  const int filters = static_cast<int>(g.group_filters());
  const int out_height = static_cast<int>(g.out_height()), out_width = static_cast<int>(g.out_width());
  const int64_t patch_size = g.patch_size(), all_filters = g.filters, all_channels = g.channels;
  const Divisor channels(g.group_channels()), height(g.height), width(g.width);
  const Divisor stride_height(g.stride_height), stride_width(g.stride_width);
  ForCells(context, "direct_conv2d_backward_input_f32", g.batch * g.height * g.width, all_channels,
           [=] __device__(int64_t pixel, int64_t channel) {
             uint32_t v = static_cast<uint32_t>(pixel);
             uint32_t h = width.Divide(&v);
             const uint32_t image = height.Divide(&h);
             uint32_t c = static_cast<uint32_t>(channel);
             const int64_t first_filter = static_cast<int64_t>(channels.Divide(&c)) * filters;
             float sum = 0;
             for (int r = 0; r < pixels.kernel_height; ++r) {
               const int from_top = static_cast<int>(h) + pixels.pad_height - r * pixels.dilation_height;
               if (from_top < 0) break;
               uint32_t left_over = static_cast<uint32_t>(from_top);
               const int p = static_cast<int>(stride_height.Divide(&left_over));
               if (left_over != 0 || p >= out_height) continue;
               for (int s = 0; s < pixels.kernel_width; ++s) {
                 const int from_left = static_cast<int>(v) + pixels.pad_width - s * pixels.dilation_width;
                 if (from_left < 0) break;
                 left_over = static_cast<uint32_t>(from_left);
                 const int q = static_cast<int>(stride_width.Divide(&left_over));
                 if (left_over != 0 || q >= out_width) continue;
                 const int64_t row = (static_cast<int64_t>(image) * out_height + p) * out_width + q;
                 const float* const from = dy + row * all_filters + first_filter;
                 const float* const weight = w + first_filter * patch_size +
                                             static_cast<int64_t>(r * pixels.kernel_width + s) * channels.divisor() + c;
                 for (int f = 0; f < filters; ++f) sum += from[f] * weight[f * patch_size];
               }
             }
             dx[pixel * all_channels + channel] = sum;
           });
}

// The sums are those of a matrix whose columns are the weights, with filters adjacent to each other, and whose rows are
// pixels.
void DirectConv2dBackwardWeightF32(ExecContext& context, const ConvGeometry& g, const float* x, const float* dy,
                                   float* dw) {
  const ConvPixels pixels = AllPixels(g);
  const int64_t image = g.height * g.width * g.channels, patch_size = g.patch_size(), filters = g.filters;
  BITGRAD_CHECK(filters * patch_size < kMostDividends);
  const Divisor all_filters(filters), group_filters(g.group_filters()), channels(g.group_channels());
  const Divisor width(g.kernel_width);
  SumColumns<1>(
      context, "direct_conv2d_backward_weight_f32", g.pixels(), filters * patch_size,
      [=] __device__(int64_t row, int64_t column, double* sums) {
        uint32_t o = static_cast<uint32_t>(column);
        uint32_t c = all_filters.Divide(&o);
        uint32_t s = channels.Divide(&c);
        const int r = static_cast<int>(width.Divide(&s));
        const ConvPixels::Patch patch = pixels.At(static_cast<uint32_t>(row));
        const int h = patch.h + r * pixels.dilation_height;
        const int v = patch.w + static_cast<int>(s) * pixels.dilation_width;
        if (!pixels.Inside(h, v)) return;
        const int64_t channel = static_cast<int64_t>(group_filters.Quotient(o)) * channels.divisor() + c;
        sums[0] += static_cast<double>(dy[row * filters + o]) * x[patch.image * image + pixels.Channel(h, v) + channel];
      },
      [=] __device__(int64_t column, const double* sums) {
        uint32_t o = static_cast<uint32_t>(column);
        const uint32_t tap = all_filters.Divide(&o);
        dw[o * patch_size + tap] = static_cast<float>(sums[0]);
      });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
