// Quantization of gradients to int8, for the integer products of the backward pass.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/largest_magnitude.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/scratch.h"
#include "bitgrad/ops/quantizers/list.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/quantize_rows.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/uniforms-inl.h"

#ifndef BITGRAD_OPS_CPU_QUANTIZE_ROWS_SHARED_
#define BITGRAD_OPS_CPU_QUANTIZE_ROWS_SHARED_
namespace bitgrad::cpu {

// The number of columns that are transposed into rows together: the floats of a cache line.
inline constexpr int64_t kTransposed = 16;

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_QUANTIZE_ROWS_SHARED_

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// codes[j] = Code(x[j]), j < count <= Uniforms::kCount. These are two loops because the compiler vectorizes them, but
// not a single one.
template <typename Q>
void QuantizeSegment(const QuantizerArgs args, const float* x, float statistic, const float* u, int64_t count,
                     int8_t* codes) {
  const QuantizerNumbers numbers = {.statistic = statistic};
  float values[Uniforms::kCount];
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) values[j] = Q::Code(x[j], args, numbers, u[j]);
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) codes[j] = static_cast<int8_t>(static_cast<int32_t>(values[j]));
}

bool HasNan(const float* x, int64_t count) {
  int32_t nans = 0;
#pragma omp simd reduction(| : nans)
  for (int64_t j = 0; j < count; ++j) nans |= x[j] != x[j] ? 1 : 0;
  return nans != 0;
}

// Quantizes one row with the random numbers from element `first` on. Returns the row's scale, or NaN where the row has
// a NaN: the codes could not show it.
float QuantizeRow(const Quantizer& quantizer, const float* x, int64_t count, const RngStream& rng, uint64_t first,
                  int8_t* codes) {
  const float statistic = LargestMagnitude(x, count);
  DispatchQuantizer(quantizer.info(), [&]<typename Q>() {
    if constexpr (Q::kStochastic) {
      Uniforms uniforms;
      for (int64_t begin = 0; begin < count; begin += Uniforms::kCount) {
        const int64_t size = std::min(Uniforms::kCount, count - begin);
        QuantizeSegment<Q>(quantizer.args(), x + begin, statistic, uniforms.Fill(rng, first + begin, size), size,
                           codes + begin);
      }
    }
  });
  return HasNan(x, count) ? std::numeric_limits<float>::quiet_NaN() : quantizer.scale(statistic);
}

// Rows [begin, end) of codes, from columns of x. `transposed` has room for kTransposed rows.
void QuantizeColumns(const Quantizer& quantizer, ConstMatrixView<float> x, const RngStream& rng, int64_t begin,
                     int64_t end, float* transposed, MatrixView<int8_t> codes, float* scale) {
  for (int64_t j0 = begin; j0 < end; j0 += kTransposed) {
    const int64_t size = std::min(kTransposed, end - j0);
    for (int64_t i = 0; i < x.rows; ++i) {
      const float* row = x.row(i) + j0;
      for (int64_t j = 0; j < size; ++j) transposed[j * x.rows + i] = row[j];
    }
    for (int64_t j = j0; j < j0 + size; ++j) {
      scale[j] = QuantizeRow(quantizer, transposed + (j - j0) * x.rows, x.rows, rng, j * x.rows, codes.row(j));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(QuantizeRow);
HWY_EXPORT(QuantizeColumns);

}  // namespace

void QuantizeRowsS8(ExecContext& context, const Quantizer& quantizer, bool transpose, ConstMatrixView<float> x,
                    const RngStream& rng, MatrixView<int8_t> codes, float* scale) {
  BITGRAD_DCHECK(quantizer.statistic() == Statistic::kMaxAbs && quantizer.granularity() == Granularity::kRow);
  BITGRAD_DCHECK(quantizer.encoding().kind == EncodingKind::kSigned && quantizer.info().stochastic);
  BITGRAD_DCHECK(codes.rows == (transpose ? x.cols : x.rows) && codes.cols == (transpose ? x.rows : x.cols));
  if (transpose) {
    const int64_t ranges = std::clamp<int64_t>(x.size() / kGrain, 1, context.threads());
    const Scratch<float> transposed(context, ranges * kTransposed * x.rows);
    ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        HWY_DYNAMIC_DISPATCH(QuantizeColumns)
        (quantizer, x, rng, x.cols * r / ranges, x.cols * (r + 1) / ranges,
         transposed.data() + r * kTransposed * x.rows, codes, scale);
      }
    });
    return;
  }
  ParallelFor(context.threads(), codes.rows, RowGrain(codes.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      scale[i] = HWY_DYNAMIC_DISPATCH(QuantizeRow)(quantizer, x.row(i), x.cols, rng, i * x.cols, codes.row(i));
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
