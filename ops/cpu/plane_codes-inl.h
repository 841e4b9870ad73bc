// Codes of up to four bits as bytes, from words of their bit planes. Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_PLANE_CODES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_PLANE_CODES_INL_H_
#undef BITGRAD_OPS_CPU_PLANE_CODES_INL_H_
#else
#define BITGRAD_OPS_CPU_PLANE_CODES_INL_H_
#endif

#include "hwy/highway.h"
#include "bitgrad/ops/cpu/int8_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kPlanesTogether = 4;

// bytes[s] = the stored codes at bit s of each byte of the planes, s < 8. Pairs of planes become codes of two bits, and
// pairs of these codes of four, each step for all positions of the words at once: some four operations for a vector of
// codes of four bits, where bit by bit takes six for each plane.
HWY_INLINE void CodesOfPlanes(const LaneVec (&plane)[kPlanesTogether], LaneVec (&bytes)[8]) {
  const LaneTag d;
  const auto pairs = hn::Set(d, 0x55555555), quads = hn::Set(d, 0x33333333), low = hn::Set(d, 0x0f0f0f0f);
  LaneVec two[2][2];  // of planes 2 i and 2 i + 1, at the even and at the odd bits
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const LaneVec p0 = plane[2 * i], p1 = plane[2 * i + 1];
    two[i][0] = hn::Or(hn::And(p0, pairs), hn::ShiftLeft<1>(hn::And(p1, pairs)));
    two[i][1] = hn::Or(hn::And(hn::ShiftRight<1>(p0), pairs), hn::AndNot(pairs, p1));
  }
#pragma GCC unroll 2
  for (int odd = 0; odd < 2; ++odd) {
    const LaneVec first = hn::Or(hn::And(two[0][odd], quads), hn::ShiftLeft<2>(hn::And(two[1][odd], quads)));
    const LaneVec second = hn::Or(hn::And(hn::ShiftRight<2>(two[0][odd]), quads), hn::AndNot(quads, two[1][odd]));
    bytes[odd] = hn::And(first, low);
    bytes[odd + 4] = hn::And(hn::ShiftRight<4>(first), low);
    bytes[odd + 2] = hn::And(second, low);
    bytes[odd + 6] = hn::And(hn::ShiftRight<4>(second), low);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_PLANE_CODES_INL_H_
