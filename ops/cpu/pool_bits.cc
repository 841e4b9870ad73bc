#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/scratch.h"
#include "bitgrad/ops/kernels/windows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/pool_bits.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {

using WindowAxis = WindowAxisOf<int64_t>;
using Interval = WindowAxis::Interval;

namespace HWY_NAMESPACE {

// For channels that are whole words: `count` words of y, from word `begin` of the image on. `flip` has one bit per
// channel.
void PoolWords(const WindowAxis& height, const WindowAxis& width, int64_t pixel_words, const uint64_t* x,
               const uint64_t* flip, int64_t begin, int64_t count, uint64_t* y) {
  int64_t pixel = begin / pixel_words, c = begin % pixel_words;
  for (int64_t i = 0; i < count; ++pixel, c = 0) {
    const Interval rows = height.Elements(pixel / width.windows);
    const Interval cols = width.Elements(pixel % width.windows);
    for (; c < pixel_words && i < count; ++c, ++i) {
      uint64_t any = 0;
      for (int64_t h = rows.begin; h < rows.end; ++h) {
        for (int64_t w = cols.begin; w < cols.end; ++w) any |= x[(h * width.extent + w) * pixel_words + c];
      }
      y[i] = any ^ flip[c];
    }
  }
}

// Bits [at, at + count) of a row, in the low bits of the result. Reads only words that contain some of them. REQUIRES:
// 1 <= count <= 64.
HWY_INLINE uint64_t BitsAt(const uint64_t* row, int64_t at, int64_t count) {
  const int64_t shift = at % 64;
  uint64_t bits = row[at / 64] >> shift;
  if (shift + count > 64) bits |= row[at / 64 + 1] << (64 - shift);
  return bits & (~uint64_t{0} >> (64 - count));
}

// For any number of channels: bits [begin, end) of the image y. A word of y is assembled from all pixels that have bits
// in it. REQUIRES: begin % 64 == 0.
void PoolBits(const WindowAxis& height, const WindowAxis& width, int64_t channels, const uint64_t* x,
              const uint64_t* flip, int64_t begin, int64_t end, uint64_t* y) {
  int64_t pixel = begin / channels, c = begin % channels;
  uint64_t word = 0;
  for (int64_t bit = begin; bit < end;) {
    const Interval rows = height.Elements(pixel / width.windows);
    const Interval cols = width.Elements(pixel % width.windows);
    const int64_t count = std::min({channels - c, 64 - bit % 64, end - bit});
    uint64_t any = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = cols.begin; w < cols.end; ++w) any |= BitsAt(x, (h * width.extent + w) * channels + c, count);
    }
    word |= (any ^ BitsAt(flip, c, count)) << bit % 64;
    bit += count;
    c += count;
    if (c == channels) c = 0, ++pixel;
    if (bit % 64 == 0 || bit == end) {
      *y++ = word;
      word = 0;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(PoolWords);
HWY_EXPORT(PoolBits);

}  // namespace

void MaxPoolBits(ExecContext& context, const PoolGeometry& geometry, ConstBitMatrixView x, const uint8_t* flip,
                 BitMatrixView y) {
  CheckPoolGeometry(geometry);
  const int64_t channels = geometry.channels;
  BITGRAD_DCHECK(x.rows == geometry.batch && x.cols == geometry.height * geometry.width * channels);
  BITGRAD_DCHECK(y.rows == geometry.batch && y.cols == geometry.out_height() * geometry.out_width() * channels);
  const int64_t flip_words = (channels + 63) / 64;
  const Scratch<uint64_t> flips(context, flip_words);
  std::fill_n(flips.data(), flip_words, uint64_t{0});
  for (int64_t c = 0; flip != nullptr && c < channels; ++c) flips.data()[c / 64] |= uint64_t{flip[c]} << c % 64;

  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  ForEachBitSegment(context.threads(), y.rows, y.cols, [&](const BitSegment& s) {
    uint64_t* const out = y.row(s.row) + s.word();
    const int64_t words = (s.size() + 63) / 64;
    if (channels % 64 == 0) {
      HWY_DYNAMIC_DISPATCH(PoolWords)
      (height, width, channels / 64, x.row(s.row), flips.data(), s.word(), words, out);
    } else {
      HWY_DYNAMIC_DISPATCH(PoolBits)
      (height, width, channels, x.row(s.row), flips.data(), s.begin, s.end, out);
    }
    std::fill(out + words, out + s.words, uint64_t{0});
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
