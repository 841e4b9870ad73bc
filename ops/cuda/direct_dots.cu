// One thread computes one sum, of a few dozen products of single codes. Limited by instructions (some ten per product
// and bit of w), as the images are read from memory once and then from caches. Adjacent threads have adjacent filters.

#include "bitgrad/ops/cuda/direct_dots.h"

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/bit_rows.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/levels.h"
#include "bitgrad/ops/cuda/plane_codes.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The types below are not in an anonymous namespace, because device lambdas cannot capture types from there.
struct BitImages {
  ConstBitMatrixView x;
  __device__ __forceinline__ int32_t At(int64_t image, int64_t index) const {
    return static_cast<int32_t>(x.row(image)[index / 64] >> index % 64 & 1) * 2 - 1;
  }
};
struct CodeImages {
  ConstMatrixView<uint8_t> x;
  DecodedCodes codes;
  __device__ __forceinline__ int32_t At(int64_t image, int64_t index) const {
    return codes.Of<int32_t>(x.at(image, index));
  }
};

// Sum: the type of the sums and of the filters' codes. The codes of images are of 32 bits.
template <typename Images, typename Sum>
struct DirectDots {
  ConvPixels pixels;
  Images x;
  PlaneCodes w;
  Divisor group_filters;
  int channels;  // of a group
  int32_t border;

  __device__ __forceinline__ Sum At(uint32_t pixel, uint32_t o) const {
    const ConvPixels::Patch patch = pixels.At(pixel);
    const int64_t first_channel = static_cast<int64_t>(group_filters.Quotient(o)) * channels;
    Sum sum = 0;
    int index = 0;
    for (int r = 0; r < pixels.kernel_height; ++r) {
      for (int s = 0; s < pixels.kernel_width; ++s) {
        const int h = patch.h + r * pixels.dilation_height, v = patch.w + s * pixels.dilation_width;
        const bool inside = pixels.Inside(h, v);
        const int64_t from = inside ? pixels.Channel(h, v) + first_channel : 0;
        for (int c = 0; c < channels; ++c, ++index)
          sum += (inside ? x.At(patch.image, from + c) : border) * w.template At<Sum>(o, index);
      }
    }
    return sum;
  }
};

template <typename Sum, typename Images>
void MakeDirectDots(ExecContext& context, const ConvGeometry& g, const Images& x, const ConstPlanesView& w,
                    int32_t border, const DotOutput& out) {
  if (g.pixels() == 0 || g.filters == 0) return;
  constexpr char kName[] = "direct_dots";
  BITGRAD_CHECK(g.pixels() < kMostDividends);
  const DirectDots<Images, Sum> dots = {ConvPixels(g, PixelChunk{.image = 0, .first = 0, .rows = g.pixels()}),
                                        x,
                                        PlaneCodes(w),
                                        Divisor(g.group_filters()),
                                        static_cast<int>(g.group_channels()),
                                        border};
  if (out.floats.data != nullptr) {
    const MatrixView<float> y = out.floats;
    const ScaleView scale = out.scale;
    ForCells(context, kName, y.rows, y.cols, [=] __device__(int64_t row, int64_t o) {
      y.at(row, o) = static_cast<float>(dots.At(static_cast<uint32_t>(row), static_cast<uint32_t>(o))) * scale.at(o);
    });
    return;
  }
  if (out.codes.data != nullptr) {
    const MatrixView<uint8_t> y = out.codes;
    const Levels levels(out);
    ForCells(context, kName, y.rows, y.cols, [=] __device__(int64_t row, int64_t o) {
      const Sum dot = dots.At(static_cast<uint32_t>(row), static_cast<uint32_t>(o));
      y.at(row, o) = levels.Code(o, static_cast<int32_t>(dot));
    });
    return;
  }
  const int64_t pixels = g.out_height() * g.out_width(), image = pixels * g.filters;
  BITGRAD_CHECK(image < kMostDividends);
  const Divisor by_filters(g.filters);
  const int32_t* const threshold = out.threshold;
  const uint8_t* const flip = out.flip;
  PackBits<1>(context, kName, g.batch, image,
              [=] __device__(int64_t n, int64_t bit) {
                uint32_t o = static_cast<uint32_t>(bit);
                const uint32_t pixel = by_filters.Divide(&o);
                return (dots.At(static_cast<uint32_t>(n * pixels) + pixel, o) >= threshold[o] ? 1 : 0) ^ (flip[o] & 1);
              },
              {out.bits});
}

void DirectBitDots(ExecContext& context, const ConvGeometry& geometry, ConstBitMatrixView x, ConstBitMatrixView w,
                   int32_t border, const DotOutput& out) {
  MakeDirectDots<int32_t>(context, geometry, BitImages{x}, {{EncodingKind::kBinary, 1}, {w}}, border, out);
}

void DirectCodeDots(ExecContext& context, const ConvGeometry& geometry, const ConstCodesView& x,
                    const ConstPlanesView& w, int32_t border, const DotOutput& out) {
  const CodeImages images = {x.codes, DecodedCodes(x.encoding)};
  if (x.encoding.is_affine() && w.encoding.is_affine()) {
    MakeDirectDots<int32_t>(context, geometry, images, w, border, out);
  } else {
    MakeDirectDots<int64_t>(context, geometry, images, w, border, out);
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
