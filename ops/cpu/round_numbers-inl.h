// Rounding to a number format (ops/kernels/round_numbers.h), for each instruction set: loops that the compiler
// vectorizes.

#if defined(BITGRAD_OPS_CPU_ROUND_NUMBERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_ROUND_NUMBERS_INL_H_
#undef BITGRAD_OPS_CPU_ROUND_NUMBERS_INL_H_
#else
#define BITGRAD_OPS_CPU_ROUND_NUMBERS_INL_H_
#endif

#include <cmath>
#include <cstdint>

#include "bitgrad/ops/cpu/overflow_counts.h"
#include "bitgrad/ops/kernels/round_numbers.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

HWY_INLINE void RoundToFixed(const FixedPoint& fixed, const float* x, float* y, int64_t count,
                             OverflowCounts* overflows) {
  const float step = fixed.step;
  if (overflows == nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = fixed.Code(x[i]) * step;
    return;
  }
  const float most = fixed.most, half = 0.5f * fixed.most;
  constexpr int64_t kBlock = 1 << 20;  // counts of a block fit an int32, which is as wide as the floats
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = begin + kBlock < count ? begin + kBlock : count;
    int32_t at_most = 0;
    int32_t at_half = 0;
#pragma omp simd reduction(+ : at_most, at_half)
    for (int64_t i = begin; i < end; ++i) {
      const float code = fixed.Code(x[i]);
      const float size = std::fabs(code);
      y[i] = code * step;
      at_most += size >= most ? 1 : 0;
      at_half += size >= half ? 1 : 0;
    }
    overflows->at_most += at_most;
    overflows->at_half += at_half;
  }
}

// y may be x; `overflows` may be null. REQUIRES: `fixed` is the format's where that is a fixed-point one.
HWY_INLINE void RoundBlock(NumberFormatKind kind, const FixedPoint& fixed, const float* x, float* y, int64_t count,
                           OverflowCounts* overflows) {
  switch (kind) {
    case NumberFormatKind::kFloat:
      for (int64_t i = 0; i < count; ++i) y[i] = x[i];
      return;
    case NumberFormatKind::kHalf:
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) y[i] = RoundToHalf(x[i]);
      return;
    case NumberFormatKind::kBfloat16:
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) y[i] = RoundToBfloat16(x[i]);
      return;
    case NumberFormatKind::kFixed:
    case NumberFormatKind::kDynamicFixed: RoundToFixed(fixed, x, y, count, overflows); return;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif
