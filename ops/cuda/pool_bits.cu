// Max pooling of bit images. An image is a row of bits without gaps, so a pixel's channels may begin anywhere in a
// word: a thread assembles one word of the output from all pixels that have bits in it. Where channels are whole words
// it is limited by memory: each bit of x is read from memory once, later from a cache, and each bit of y is written
// once.

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/bit_rows.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/scratch.h"
#include "bitgrad/ops/kernels/windows.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

using WindowAxis = WindowAxisOf<int>;
using Interval = WindowAxis::Interval;

// `flip` is a row of bits, one per channel; null for none.
__global__ void MaxPoolBitsKernel(WindowAxis height, WindowAxis width, int channels, ConstBitMatrixView x,
                                  const uint64_t* flip, BitMatrixView y) {
  const int64_t words = (y.cols + kLineBits - 1) / kLineBits * (kLineBits / 64);
  ForEachCell(y.rows, words, [&](int64_t n, int64_t word) {
    const uint64_t* const image = x.row(n);
    const int64_t begin = word * 64;
    uint64_t bits = 0;
    if (begin < y.cols) {
      const int64_t first = begin / channels;
      int c = static_cast<int>(begin - first * channels);
      int p = static_cast<int>(first / width.windows), q = static_cast<int>(first - int64_t{p} * width.windows);
      for (int bit = 0; bit < 64 && p < height.windows; c = 0) {
        const int count = min(channels - c, 64 - bit);
        const Interval rows = height.Elements(p), cols = width.Elements(q);
        uint64_t any = 0;
        for (int h = rows.begin; h < rows.end; ++h) {
          for (int w = cols.begin; w < cols.end; ++w) {
            any |= BitsAt(image, (static_cast<int64_t>(h) * width.extent + w) * channels + c, count);
          }
        }
        if (flip != nullptr) any ^= BitsAt(flip, c, count);
        bits |= any << bit;
        bit += count;
        if (++q == width.windows) {
          q = 0;
          ++p;
        }
      }
    }
    y.row(n)[word] = bits;
  });
}

}  // namespace

void MaxPoolBits(ExecContext& context, const PoolGeometry& geometry, ConstBitMatrixView x, const uint8_t* flip,
                 BitMatrixView y) {
  CheckPoolGeometry(geometry);
  const int64_t channels = geometry.channels;
  BITGRAD_DCHECK(x.rows == geometry.batch && x.cols == geometry.height * geometry.width * channels);
  BITGRAD_DCHECK(y.rows == geometry.batch && y.cols == geometry.out_height() * geometry.out_width() * channels);
  if (y.rows * y.cols == 0) return;
  const int64_t flip_words = BitMatrix::WordsPerRow(channels);
  const Scratch<uint64_t> flips(context, flip == nullptr ? 0 : flip_words);
  if (flip != nullptr) {
    PackBits<1>(context, "max_pool_bits", 1, channels, [=] __device__(int64_t, int64_t c) { return flip[c] & 1; },
                {BitMatrixView{flips.data(), 1, channels, flip_words}});
  }
  Launch(context, "max_pool_bits", MaxPoolBitsKernel, OverElements(y.rows * BitMatrix::WordsPerRow(y.cols)),
         HeightAxis<int>(geometry), WidthAxis<int>(geometry), static_cast<int>(channels), x,
         flip == nullptr ? nullptr : flips.data(), y);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
