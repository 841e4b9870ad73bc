// From the threshold bits of a convolution, a row of bits per output pixel, to a bit image without gaps. Included
// through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_IMAGE_BITS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_IMAGE_BITS_INL_H_
#undef BITGRAD_OPS_CPU_IMAGE_BITS_INL_H_
#else
#define BITGRAD_OPS_CPU_IMAGE_BITS_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/ops/cpu/conv_axis.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bit_runs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// Zeroes the words of output pixels [begin, end), which are a chunk (conv_chunks.h), and the padding words of each
// image that ends there.
inline void ClearImageBits(const ConvGeometry& g, int64_t begin, int64_t end, const BitMatrixView& image) {
  const int64_t pixels = g.out_height() * g.out_width();
  while (begin < end) {
    const int64_t n = begin / pixels;
    const int64_t first = begin % pixels, last = std::min(pixels, end - n * pixels);
    uint64_t* words = image.row(n);
    std::fill(words + first * g.filters / 64,
              words + (last == pixels ? BitMatrix::WordsPerRow(image.cols) : last * g.filters / 64), uint64_t{0});
    begin = n * pixels + last;
  }
}

// ORs the bits of group `group` of these pixels, which are rows 0 .. end - begin - 1 of `rows`, into cleared words.
inline void StoreImageBits(const ConvGeometry& g, int64_t group, int64_t begin, int64_t end,
                           const ConstBitMatrixView& rows, const BitMatrixView& image) {
  const int64_t width = g.out_width(), filters = g.group_filters();
  ForEachOutputRow(g, begin, end, [&](int64_t pixel, int64_t n, int64_t p, int64_t q_begin, int64_t q_end) HWY_ATTR {
    const uint64_t* bits = rows.row(pixel - begin);
    int64_t to = (p * width + q_begin) * g.filters + group * filters;
    for (int64_t q = q_begin; q < q_end; ++q, bits += rows.stride, to += g.filters) {
      if (filters % 64 == 0) {
        CopyWords(bits, filters / 64, image.row(n) + to / 64);
      } else {
        OrBits(bits, 0, filters, image.row(n), to);
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_IMAGE_BITS_INL_H_
