// Dropout, which mostly draws random numbers.

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/dropout.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/uniforms-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

void Dropout(float keep, float divisor, const RngStream& rng, const float* x, int64_t begin, int64_t end, float* y) {
  Uniforms uniforms;
  for (int64_t i = begin; i < end; i += Uniforms::kCount) {
    const int64_t size = std::min(end - i, Uniforms::kCount);
    const float* u = uniforms.Fill(rng, i, size);
#pragma omp simd
    for (int64_t j = 0; j < size; ++j) y[i + j] = u[j] < keep ? x[i + j] / divisor : 0.0f;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(Dropout);

}  // namespace

void DropoutApply(ExecContext& context, float keep, float divisor, const RngStream& rng, const float* x, float* y,
                  int64_t count) {
  BITGRAD_DCHECK(keep > 0.0f && keep <= 1.0f);
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(Dropout)(keep, divisor, rng, x, begin, end, y);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
