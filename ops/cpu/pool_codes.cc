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

// From a sum of stored codes c, over a window of `count` elements, to float(sum of least + step c) * (scale / count).
struct CodeMean {
  int32_t least, step;
  float scale;
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

// The same for the mean.
void MeanCodesRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const uint8_t* x, int64_t p,
                  const CodeMean& mean, float* y) {
  constexpr int64_t kBlock = 256;  // channels that are summed up together, in the first-level cache
  const Interval rows = height.Elements(p);
  for (int64_t q = 0; q < width.windows; ++q) {
    const Interval cols = width.Elements(q);
    const int32_t count = static_cast<int32_t>(rows.size() * cols.size());
    const int32_t least = mean.least * count, step = mean.step;
    const float scale = mean.scale / static_cast<float>(count);
    for (int64_t first = 0; first < channels; first += kBlock) {
      const int64_t block = std::min(kBlock, channels - first);
      float* const out = y + q * channels + first;
      int32_t sums[kBlock] = {};
      for (int64_t h = rows.begin; h < rows.end; ++h) {
        for (int64_t w = cols.begin; w < cols.end; ++w) {
          const uint8_t* const in = x + (h * width.extent + w) * channels + first;
#pragma omp simd
          for (int64_t c = 0; c < block; ++c) sums[c] += in[c];
        }
      }
#pragma omp simd
      for (int64_t c = 0; c < block; ++c) out[c] = static_cast<float>(least + step * sums[c]) * scale;
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
HWY_EXPORT(MeanCodesRow);

// Calls body(x, p, y) for each row p of each image of the output: x is the image's first element, y the row's.
template <typename T, typename Body>
void ForEachOutputRow(ExecContext& context, const PoolGeometry& g, const uint8_t* x, T* y, const Body& body) {
  CheckPoolGeometry(g);
  const int64_t windows = g.out_height(), image = g.height * g.width * g.channels, row = g.out_width() * g.channels;
  ParallelFor(context.threads(), g.batch * windows, RowGrain(g.kernel_height * g.width * g.channels),
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) body(x + i / windows * image, i % windows, y + i * row);
              });
}

}  // namespace

void MaxPoolCodes(ExecContext& context, const PoolGeometry& geometry, const uint8_t* x, int levels, const uint8_t* flip,
                  uint8_t* y) {
  BITGRAD_DCHECK(levels >= 1 && levels <= kMaxLevels);
  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  ForEachOutputRow(context, geometry, x, y, [&](const uint8_t* image, int64_t p, uint8_t* row) {
    HWY_DYNAMIC_DISPATCH(MaxCodesRow)
    (height, width, geometry.channels, image, p, static_cast<uint8_t>(levels), flip, row);
  });
}

void AveragePoolCodes(ExecContext& context, const PoolGeometry& geometry, const Encoding& encoding,
                      const ScaleView& scale, const uint8_t* x, float* y) {
  BITGRAD_DCHECK(scale.is_uniform());
  BITGRAD_DCHECK(geometry.kernel_height * geometry.kernel_width * encoding.max_code() <= kMaxExactFloatInteger);
  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  const CodeMean mean = {static_cast<int32_t>(encoding.least_code()), static_cast<int32_t>(encoding.code_step()),
                         scale.at(0)};
  ForEachOutputRow(context, geometry, x, y, [&](const uint8_t* image, int64_t p, float* row) {
    HWY_DYNAMIC_DISPATCH(MeanCodesRow)(height, width, geometry.channels, image, p, mean, row);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
