#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/mean_abs.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

double SumOfMagnitudes(const float* x, int64_t count) {
  return LaneSum(count, [x](int64_t i) { return static_cast<double>(std::fabs(x[i])); });
}

void FillBySign(const float* x, int64_t count, float value, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] >= 0.0f ? value : -value;
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(SumOfMagnitudes);
HWY_EXPORT(FillBySign);

}  // namespace

void MeanAbsRows(ExecContext& context, ConstMatrixView<float> x, float* y) {
  BITGRAD_DCHECK(x.cols > 0);
  ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      y[i] = static_cast<float>(HWY_DYNAMIC_DISPATCH(SumOfMagnitudes)(x.row(i), x.cols) / static_cast<double>(x.cols));
    }
  });
}

void MeanAbsRowsBackward(ExecContext& context, ConstMatrixView<float> x, const float* dy, MatrixView<float> dx) {
  BITGRAD_DCHECK(x.cols > 0 && dx.rows == x.rows && dx.cols == x.cols);
  const float count = static_cast<float>(x.cols);
  ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      HWY_DYNAMIC_DISPATCH(FillBySign)(x.row(i), x.cols, dy[i] / count, dx.row(i));
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
