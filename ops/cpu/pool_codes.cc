// Pooling of images of stored codes. The loops over channels are vectorized by the compiler, once per instruction set.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/windows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/pool_codes.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#ifndef BITGRAD_OPS_CPU_POOL_CODES_SHARED_
#define BITGRAD_OPS_CPU_POOL_CODES_SHARED_
namespace bitgrad::cpu {

using WindowAxis = WindowAxisOf<int64_t>;
using Interval = WindowAxis::Interval;

// What is made of a sum of stored codes c: the sum of the codes least + step c and, of that, a mean or a code. Of
// logarithmic codes, which are no such numbers, the codes are looked up, and their sum is that.
struct CodeSum {
  int32_t least, step;
  const int32_t* log_codes;  // of each c; null where they are not logarithmic
  const DotOutput& out;
  int64_t level_stride;

  // Of `count` channels from `first` on, of window `window`.
  void Finish(const int32_t* sums, int64_t first, int64_t count, int32_t elements, int64_t window) const {
    const int32_t offset = least * elements;
    if (out.floats.data != nullptr) {
      float* const y = out.floats.row(window) + first;
      const float scale = out.scale.at(0) / static_cast<float>(elements);
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) y[c] = static_cast<float>(offset + step * sums[c]) * scale;
      return;
    }
    uint8_t* const y = out.codes.row(window) + first;
    const uint8_t* const flip = out.flip + first;
    std::memset(y, 0, static_cast<size_t>(count));
    for (int l = 0; l < out.levels; ++l) {
      const int32_t* const threshold = out.threshold + l * level_stride + first;
#pragma omp simd
      for (int64_t c = 0; c < count; ++c) y[c] += offset + step * sums[c] >= threshold[c] ? 1 : 0;
    }
    const uint8_t levels = static_cast<uint8_t>(out.levels);
#pragma omp simd
    for (int64_t c = 0; c < count; ++c) y[c] = flip[c] != 0 ? static_cast<uint8_t>(levels - y[c]) : y[c];
  }
};

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_POOL_CODES_SHARED_

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// Row p of one image's output.
void MaxCodesRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const uint8_t* x, int64_t p,
                 uint8_t levels, const uint8_t* flip, uint8_t* y) {
  const Interval rows = height.Elements(p);
  for (int64_t q = 0; q < width.windows; ++q, y += channels) {
    const Interval cols = width.Elements(q);
    std::memset(y, 0, static_cast<size_t>(channels));
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = cols.begin; w < cols.end; ++w) {
        const uint8_t* const in = x + (h * width.extent + w) * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) y[c] = y[c] < in[c] ? in[c] : y[c];
      }
    }
    if (flip == nullptr) continue;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) y[c] = flip[c] != 0 ? static_cast<uint8_t>(levels - y[c]) : y[c];
  }
}

// The same for sums. `row` is the number of the row among those of all images.
void SumCodesRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const uint8_t* x, int64_t p,
                 const CodeSum& sum, int64_t row) {
  constexpr int64_t kBlock = 256;  // channels that are summed up together, in the first-level cache
  const Interval rows = height.Elements(p);
  for (int64_t q = 0; q < width.windows; ++q) {
    const Interval cols = width.Elements(q);
    for (int64_t first = 0; first < channels; first += kBlock) {
      const int64_t block = std::min(kBlock, channels - first);
      int32_t sums[kBlock] = {};
      for (int64_t h = rows.begin; h < rows.end; ++h) {
        for (int64_t w = cols.begin; w < cols.end; ++w) {
          const uint8_t* const in = x + (h * width.extent + w) * channels + first;
          if (sum.log_codes != nullptr) {
            for (int64_t c = 0; c < block; ++c) sums[c] += sum.log_codes[in[c]];
            continue;
          }
#pragma omp simd
          for (int64_t c = 0; c < block; ++c) sums[c] += in[c];
        }
      }
      sum.Finish(sums, first, block, static_cast<int32_t>(rows.size() * cols.size()), row * width.windows + q);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(MaxCodesRow);
HWY_EXPORT(SumCodesRow);

// Calls body(x, p, row) for each row p of each image of the output: x is the image's first element, `row` the row's
// number among those of all images.
template <typename Body>
void ForEachOutputRow(ExecContext& context, const PoolGeometry& g, const uint8_t* x, const Body& body) {
  CheckPoolGeometry(g);
  const int64_t windows = g.out_height(), image = g.height * g.width * g.channels;
  ParallelFor(context.threads(), g.batch * windows, RowGrain(g.kernel_height * g.width * g.channels),
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) body(x + i / windows * image, i % windows, i);
              });
}

}  // namespace

void MaxPoolCodes(ExecContext& context, const PoolGeometry& geometry, const uint8_t* x, int levels, const uint8_t* flip,
                  uint8_t* y) {
  BITGRAD_DCHECK(levels >= 1 && levels <= kMaxLevels);
  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  const int64_t line = width.windows * geometry.channels;
  ForEachOutputRow(context, geometry, x, [&](const uint8_t* image, int64_t p, int64_t row) {
    HWY_DYNAMIC_DISPATCH(MaxCodesRow)
    (height, width, geometry.channels, image, p, static_cast<uint8_t>(levels), flip, y + row * line);
  });
}

void AveragePoolCodes(ExecContext& context, const PoolGeometry& geometry, const Encoding& encoding, const uint8_t* x,
                      const DotOutput& out) {
  BITGRAD_DCHECK(SumIsExact(encoding, geometry) && out.scale.is_uniform() && out.cols() == geometry.channels);
  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  const int64_t level_stride = out.level_stride != 0 ? out.level_stride : geometry.channels;
  int32_t log_codes[256] = {};
  for (int64_t c = 0; c <= encoding.largest_stored(); ++c) log_codes[c] = static_cast<int32_t>(encoding.code(c));
  const bool is_log = encoding.is_log();
  const CodeSum sum = {is_log ? 0 : static_cast<int32_t>(encoding.least_code()),
                       is_log ? 1 : static_cast<int32_t>(encoding.code_step()), is_log ? log_codes : nullptr, out,
                       level_stride};
  ForEachOutputRow(context, geometry, x, [&](const uint8_t* image, int64_t p, int64_t row) {
    HWY_DYNAMIC_DISPATCH(SumCodesRow)(height, width, geometry.channels, image, p, sum, row);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
