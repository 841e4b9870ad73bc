// Where elements lie on a spline's grid. Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_SPLINE_PLACES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_SPLINE_PLACES_INL_H_
#undef BITGRAD_OPS_CPU_SPLINE_PLACES_INL_H_
#else
#define BITGRAD_OPS_CPU_SPLINE_PLACES_INL_H_
#endif

#include <cstdint>

#include "bitgrad/ops/cpu/spline_tiles.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<DI>;

// The integer part of a number that has one, and is not negative. ConvertTo would look for numbers that have none.
HWY_INLINE VI Truncate(V v) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  return VI{_mm512_maskz_cvttps_epi32(0xffff, v.raw)};  // unmasked, g++ 12 warns of what is not initialized
#elif HWY_TARGET == HWY_AVX2
  return VI{_mm256_cvttps_epi32(v.raw)};
#else
  return hn::ConvertTo(DI(), v);
#endif
}

// The interval of x, and how far into it. NaN is no interval's, and has to have an index all the same.
HWY_INLINE V Locate(V x, const SplineConstants& k, VI& interval) {
  const D d;
  const V p = hn::Add(hn::Mul(x, hn::Set(d, k.inverse_step)), hn::Set(d, k.middle));
  const V from_left = hn::IfThenElseZero(hn::Gt(p, hn::Zero(d)), p);
  interval = Truncate(hn::Min(from_left, hn::Set(d, k.last_interval)));
  return hn::Sub(p, hn::ConvertTo(d, interval));
}

// The same for one element, of what no whole vector is left: the same bits.
HWY_INLINE float Locate(float x, const SplineConstants& k, int32_t& interval) {
  const float p = x * k.inverse_step + k.middle;
  const float from_left = p > 0.0f ? p : 0.0f;
  interval = static_cast<int32_t>(from_left < k.last_interval ? from_left : k.last_interval);
  return p - static_cast<float>(interval);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif
