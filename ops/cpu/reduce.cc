#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/reduce.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// sum[j] += x[0, j] + ... + x[rows - 1, j]
template <int64_t rows>
HWY_INLINE void AddRows(const float* x, int64_t stride, int64_t size, double* sum) {
  for (int64_t j = 0; j < size; ++j) {
    double s = sum[j];
    for (int64_t r = 0; r < rows; ++r) s += x[r * stride + j];
    sum[j] = s;
  }
}

// Columns [begin, end), in strips as wide as a page. Each column's sum runs from the first row to the last.
void SumRows(ConstMatrixView<float> x, bool accumulate, int64_t begin, int64_t end, float* y) {
  constexpr int64_t kStrip = 1024;
  for (int64_t j0 = begin; j0 < end; j0 += kStrip) {
    const int64_t size = std::min(kStrip, end - j0);
    double sum[kStrip] = {};
    int64_t i = 0;
    for (; i + 4 <= x.rows; i += 4) AddRows<4>(x.row(i) + j0, x.stride, size, sum);
    for (; i < x.rows; ++i) AddRows<1>(x.row(i) + j0, x.stride, size, sum);
    for (int64_t j = 0; j < size; ++j) {
      y[j0 + j] = static_cast<float>(accumulate ? y[j0 + j] + sum[j] : sum[j]);
    }
  }
}

double Sum(const float* x, int64_t count) {
  return LaneSum(count, [x](int64_t i) { return static_cast<double>(x[i]); });
}

double SumOfSquares(const float* x, int64_t count) {
  return LaneSum(count, [x](int64_t i) { return static_cast<double>(x[i]) * x[i]; });
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(SumRows);
HWY_EXPORT(Sum);
HWY_EXPORT(SumOfSquares);

}  // namespace

// Threads share the columns, so each column's sum is accumulated by one thread.
void SumRows(ExecContext& context, ConstMatrixView<float> x, bool accumulate, float* y) {
  ParallelFor(context.threads(), x.cols, std::max<int64_t>(16, RowGrain(x.rows)), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(SumRows)(x, accumulate, begin, end, y);
  });
}

void SumAll(ExecContext& context, const float* x, int64_t count, float scale, float* y) {
  *y = static_cast<float>(scale * SumOverBlocks(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
                            return HWY_DYNAMIC_DISPATCH(Sum)(x + begin, end - begin);
                          }));
}

void SumsOfSquares(ExecContext& context, absl::Span<const absl::Span<const float>> arrays, double* y) {
  for (const absl::Span<const float> x : arrays) {
    *y++ = SumOverBlocks(context.threads(), static_cast<int64_t>(x.size()), kGrain, [&](int64_t begin, int64_t end) {
      return HWY_DYNAMIC_DISPATCH(SumOfSquares)(x.data() + begin, end - begin);
    });
  }
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
