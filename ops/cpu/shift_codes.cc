#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"

namespace bitgrad::cpu {

void ShiftAdd(ExecContext& context, const ShiftAddend& a, const ShiftAddend& b, int shift, const ShiftRange& range,
              uint8_t* y, int64_t count) {
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int32_t sum = ShiftLeft(a.least + a.codes[i], a.left_shift) + ShiftLeft(b.least + b.codes[i], b.left_shift);
      y[i] = range.Stored(sum, shift);
    }
  });
}

void ShiftCodes(ExecContext& context, ConstMatrixView<uint8_t> x, int32_t least, int shift, const ShiftRange& range,
                MatrixView<uint8_t> y) {
  std::array<uint8_t, 256> table;
  for (int32_t c = 0; c < 256; ++c) table[c] = range.Stored(least + c, shift);
  ForEachSegment(context.threads(), x.rows, x.cols, x.contiguous() && y.contiguous(),
                 [&](int64_t i, int64_t begin, int64_t end) {
                   for (int64_t j = begin; j < end; ++j) y.row(i)[j] = table[x.row(i)[j]];
                 });
}

void ShiftAverage(ExecContext& context, const PoolGeometry& geometry, const uint8_t* x, int32_t least, int shift,
                  const ShiftRange& range, uint8_t* y) {
  const PoolGeometry& g = geometry;
  const auto least_sum = static_cast<int32_t>(least * g.kernel_height * g.kernel_width);
  const int64_t rows = g.batch * g.out_height();
  const int64_t row_elements = g.out_width() * g.kernel_height * g.kernel_width * g.channels;
  ParallelFor(context.threads(), rows, RowGrain(row_elements), [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(static_cast<size_t>(g.channels));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / g.out_height(), p = i % g.out_height();
      for (int64_t q = 0; q < g.out_width(); ++q) {
        std::fill(sums.begin(), sums.end(), least_sum);
        for (int64_t r = 0; r < g.kernel_height; ++r) {
          const uint8_t* from =
              x + ((n * g.height + p * g.stride_height + r) * g.width + q * g.stride_width) * g.channels;
          for (int64_t s = 0; s < g.kernel_width; ++s, from += g.channels) {
            for (int64_t c = 0; c < g.channels; ++c) sums[c] += from[c];
          }
        }
        uint8_t* const to = y + (i * g.out_width() + q) * g.channels;
        for (int64_t c = 0; c < g.channels; ++c) to[c] = range.Stored(sums[c], shift);
      }
    }
  });
}

void FixedPointCodes(ExecContext& context, const FixedPointScale& scale, const ShiftRange& range, const float* x,
                     uint8_t* y, int64_t count) {
  const int64_t channels = scale.channels;
  ParallelFor(context.threads(), count / channels, RowGrain(channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * channels; i < end * channels; i += channels) {
      for (int64_t c = 0; c < channels; ++c) {
        const float v = scale.mean == nullptr ? x[i + c] : (x[i + c] - scale.mean[c]) * scale.inv_std[c];
        y[i + c] = range.StoredOf(std::nearbyint(v * scale.factor));
      }
    }
  });
}

}  // namespace bitgrad::cpu
