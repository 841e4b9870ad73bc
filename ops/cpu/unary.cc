#include <cmath>
#include <cstdint>

#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/exponential.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/unary.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// y may be x, but must not overlap it otherwise: then no iteration depends on another.
template <typename F>
HWY_INLINE void Map(const float* x, float* y, int64_t count, const F& f) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = f(x[i]);
}

template <typename F>
HWY_INLINE void Map(const float* x, const float* dy, float* dx, int64_t count, const F& f) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) dx[i] = f(x[i], dy[i]);
}

// The comparisons are written so that NaN gives NaN.
void UnaryForward(Unary op, float parameter, const float* x, float* y, int64_t count) {
  switch (op) {
    case Unary::kRelu: return Map(x, y, count, [](float v) { return v <= 0.0f ? 0.0f : v; });
    case Unary::kLeakyRelu: return Map(x, y, count, [parameter](float v) { return v > 0.0f ? v : parameter * v; });
    case Unary::kHardtanh: return Map(x, y, count, [](float v) { return v < -1.0f ? -1.0f : v > 1.0f ? 1.0f : v; });
    case Unary::kSigmoid: return Map(x, y, count, [](float v) { return Sigmoid(v); });
    case Unary::kTanh: return Map(x, y, count, [](float v) { return HyperbolicTangent(v); });
  }
}

void UnaryBackward(Unary op, float parameter, const float* saved, const float* dy, float* dx, int64_t count) {
  switch (op) {
    case Unary::kRelu: return Map(saved, dy, dx, count, [](float x, float g) { return x > 0.0f ? g : 0.0f; });
    case Unary::kLeakyRelu:
      return Map(saved, dy, dx, count, [parameter](float x, float g) { return g * (x > 0.0f ? 1.0f : parameter); });
    case Unary::kHardtanh:
      return Map(saved, dy, dx, count, [](float x, float g) { return std::fabs(x) <= 1.0f ? g : 0.0f; });
    case Unary::kSigmoid: return Map(saved, dy, dx, count, [](float y, float g) { return g * y * (1.0f - y); });
    case Unary::kTanh: return Map(saved, dy, dx, count, [](float y, float g) { return g * (1.0f - y * y); });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(UnaryForward);
HWY_EXPORT(UnaryBackward);

}  // namespace

void UnaryForward(ExecContext& context, Unary op, float parameter, const float* x, float* y, int64_t count) {
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(UnaryForward)(op, parameter, x + begin, y + begin, end - begin);
  });
}

void UnaryBackward(ExecContext& context, Unary op, float parameter, const float* saved, const float* dy, float* dx,
                   int64_t count) {
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(UnaryBackward)
    (op, parameter, saved + begin, dy + begin, dx + begin, end - begin);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
