#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/scale_penalty.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

double RowPenalty(ScalePenaltyKind kind, const float* w, int64_t count, float alpha) {
  if (kind == ScalePenaltyKind::kR1) {
    return LaneSum(count, [=](int64_t j) { return static_cast<double>(std::fabs(alpha - std::fabs(w[j]))); });
  }
  return LaneSum(count, [=](int64_t j) {
    const float distance = alpha - std::fabs(w[j]);
    return static_cast<double>(distance * distance);
  });
}

// The derivative of a penalty by the distance alpha - |w|.
template <ScalePenaltyKind kind>
HWY_INLINE float Slope(float distance) {
  if constexpr (kind == ScalePenaltyKind::kR2) return 2.0f * distance;
  return distance > 0.0f ? 1.0f : distance < 0.0f ? -1.0f : 0.0f;
}

// Writes dw, and returns the sum of the slopes, which is the gradient of alpha for dy = 1.
template <ScalePenaltyKind kind>
HWY_INLINE double RowGradient(const float* w, int64_t count, float alpha, float dy, float* dw) {
  for (int64_t j = 0; j < count; ++j) {
    const float slope = dy * Slope<kind>(alpha - std::fabs(w[j]));
    dw[j] = w[j] >= 0.0f ? -slope : slope;
  }
  return LaneSum(count, [=](int64_t j) { return static_cast<double>(Slope<kind>(alpha - std::fabs(w[j]))); });
}

double RowBackward(ScalePenaltyKind kind, const float* w, int64_t count, float alpha, float dy, float* dw) {
  return kind == ScalePenaltyKind::kR1 ? RowGradient<ScalePenaltyKind::kR1>(w, count, alpha, dy, dw)
                                       : RowGradient<ScalePenaltyKind::kR2>(w, count, alpha, dy, dw);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(RowPenalty);
HWY_EXPORT(RowBackward);

}  // namespace

void ScalePenaltyForward(ExecContext& context, ScalePenaltyKind kind, ConstMatrixView<float> w, const float* alpha,
                         int64_t alpha_stride, float* y) {
  *y = static_cast<float>(SumOverBlocks(context.threads(), w.rows, RowGrain(w.cols), [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      sum += HWY_DYNAMIC_DISPATCH(RowPenalty)(kind, w.row(i), w.cols, alpha[i * alpha_stride]);
    }
    return sum;
  }));
}

void ScalePenaltyBackward(ExecContext& context, ScalePenaltyKind kind, ConstMatrixView<float> w, const float* alpha,
                          int64_t alpha_stride, const float* dy, MatrixView<float> dw, float* dalpha) {
  BITGRAD_DCHECK(dw.rows == w.rows && dw.cols == w.cols);
  std::vector<double> sums(static_cast<size_t>(w.rows));
  ParallelFor(context.threads(), w.rows, RowGrain(w.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      sums[i] = HWY_DYNAMIC_DISPATCH(RowBackward)(kind, w.row(i), w.cols, alpha[i * alpha_stride], *dy, dw.row(i));
    }
  });
  if (alpha_stride != 0) {
    for (int64_t i = 0; i < w.rows; ++i) dalpha[i] = static_cast<float>(sums[i] * *dy);
    return;
  }
  double sum = 0;
  for (const double row : sums) sum += row;
  *dalpha = static_cast<float>(sum * *dy);
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
