// Sums over the lanes of vectors of words, where rows of bits are multiplied in place. Included through
// foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_WORD_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_WORD_SUMS_INL_H_
#undef BITGRAD_OPS_CPU_WORD_SUMS_INL_H_
#else
#define BITGRAD_OPS_CPU_WORD_SUMS_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "bitgrad/ops/cpu/packed_panels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

HWY_INLINE int32_t SumLanes(WordVec sum) { return static_cast<int32_t>(hn::GetLane(hn::SumOfLanes(WordTag(), sum))); }

// out[c] = the sum of the lanes of sum[c], c < 8.
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
// For eight lanes. Rows are brought together and their halves added, three times. This takes a third of the
// instructions of eight separate sums over lanes.
HWY_INLINE void StoreLaneSums(const WordVec (&sum)[8], int32_t* out) {
  const WordTag d;
  const auto pair = [d](WordVec x, WordVec y)
                        HWY_ATTR { return hn::Add(hn::InterleaveLower(d, x, y), hn::InterleaveUpper(d, x, y)); };
  const auto four = [d](WordVec x, WordVec y)
                        HWY_ATTR { return hn::Add(hn::ConcatLowerLower(d, y, x), hn::ConcatUpperUpper(d, y, x)); };
  // The four 128-bit blocks of x hold two partial sums each: of rows 0 and 1 in the first two blocks, of rows 4 and 5
  // in the others. y holds those of rows 2, 3 and 6, 7.
  const WordVec x = four(pair(sum[0], sum[1]), pair(sum[4], sum[5]));
  const WordVec y = four(pair(sum[2], sum[3]), pair(sum[6], sum[7]));
  const WordVec sums =
      hn::Add(hn::OddEvenBlocks(hn::SwapAdjacentBlocks(y), x), hn::OddEvenBlocks(y, hn::SwapAdjacentBlocks(x)));
  const hn::Repartition<int32_t, WordTag> d32;
  const hn::Half<decltype(d32)> half;
  const auto low = hn::BitCast(d32, sums);
  hn::StoreU(hn::LowerHalf(half, hn::ConcatEven(d32, low, low)), half, out);
}
#else
HWY_INLINE void StoreLaneSums(const WordVec (&sum)[8], int32_t* out) {
  for (int c = 0; c < 8; ++c) out[c] = SumLanes(sum[c]);
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_WORD_SUMS_INL_H_
