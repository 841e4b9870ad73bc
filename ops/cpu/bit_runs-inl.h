// Copies and counts of runs of bits that may start and end anywhere in a word. Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_BIT_RUNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_BIT_RUNS_INL_H_
#undef BITGRAD_OPS_CPU_BIT_RUNS_INL_H_
#else
#define BITGRAD_OPS_CPU_BIT_RUNS_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Bits [from, from + count) of src, 0 < count <= 64. Reads only words that contain some of them.
HWY_INLINE uint64_t LoadRun(const uint64_t* src, int64_t from, int64_t count) {
  const int64_t word = from / 64, shift = from % 64;
  uint64_t bits = src[word] >> shift;
  if (shift + count > 64) bits |= src[word + 1] << (64 - shift);
  return bits & ~uint64_t{0} >> (64 - count);
}

// ORs the lowest `count` bits of `bits` into dst, from bit `to` on. REQUIRES: 0 < count <= 64; the other bits are zero.
HWY_INLINE void OrRun(uint64_t bits, int64_t count, uint64_t* dst, int64_t to) {
  const int64_t word = to / 64, shift = to % 64;
  dst[word] |= bits << shift;
  if (shift + count > 64) dst[word + 1] |= bits >> (64 - shift);
}

// ORs bits [from, from + count) of src into dst, from bit `to` on.
HWY_INLINE void OrBits(const uint64_t* src, int64_t from, int64_t count, uint64_t* dst, int64_t to) {
  for (int64_t done = 0; done < count; done += 64) {
    const int64_t size = std::min<int64_t>(64, count - done);
    OrRun(LoadRun(src, from + done, size), size, dst, to + done);
  }
}

// Sets bits [to, to + count) of dst.
HWY_INLINE void OrOnes(int64_t count, uint64_t* dst, int64_t to) {
  for (int64_t done = 0; done < count; done += 64) {
    const int64_t size = std::min<int64_t>(64, count - done);
    OrRun(~uint64_t{0} >> (64 - size), size, dst, to + done);
  }
}

// The number of ones among bits [from, from + count).
HWY_INLINE int32_t CountRun(const uint64_t* src, int64_t from, int64_t count) {
  int32_t ones = 0;
  if (from % 64 == 0 && count % 64 == 0) {
    for (int64_t w = from / 64; w < (from + count) / 64; ++w) ones += std::popcount(src[w]);
    return ones;
  }
  for (int64_t done = 0; done < count; done += 64) {
    ones += std::popcount(LoadRun(src, from + done, std::min<int64_t>(64, count - done)));
  }
  return ones;
}

// Copies whole words. Runs are short, often three words, so a call of memcpy would cost more.
HWY_INLINE void CopyWords(const uint64_t* src, int64_t count, uint64_t* dst) {
  const auto copy = [&](auto d) HWY_ATTR {
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    for (; count >= lanes; count -= lanes, src += lanes, dst += lanes) hn::StoreU(hn::LoadU(d, src), d, dst);
  };
  copy(hn::CappedTag<uint64_t, 8>());
  copy(hn::CappedTag<uint64_t, 4>());
  copy(hn::CappedTag<uint64_t, 2>());
  copy(hn::CappedTag<uint64_t, 1>());
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_BIT_RUNS_INL_H_
