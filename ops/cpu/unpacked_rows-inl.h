// Products of few rows with a matrix. Packing b would cost as much as the product, so the rows of b are read in place,
// and the lanes of a count are summed at the end of each row. Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_
#undef BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_
#else
#define BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_
#endif

#include <cstdint>

#include "bitgrad/ops/cpu/packed_problem.h"
#include "hwy/cache_control.h"
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

// counts[c] = popcount(a ^ row c of b), c < 8. It reads whole vectors, which is harmless as the padding words at the
// end of a row are zero. With kPrefetch it prefetches the next eight rows of b, which then arrive while these are
// combined with other rows of `a`.
template <bool kPrefetch>
HWY_INLINE void EightRows(const uint64_t* a, const uint64_t* b, int64_t b_stride, int64_t words, int32_t* counts) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  WordVec sum[8];
#pragma GCC unroll 8
  for (int c = 0; c < 8; ++c) sum[c] = hn::Zero(d);
  for (int64_t w = 0; w < words; w += lanes) {
    const WordVec x = hn::LoadU(d, a + w);
#pragma GCC unroll 8
    for (int c = 0; c < 8; ++c) {
      if constexpr (kPrefetch) hwy::Prefetch(b + (c + 8) * b_stride + w);
      sum[c] = hn::Add(sum[c], hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + c * b_stride + w))));
    }
  }
  StoreLaneSums(sum, counts);
}

HWY_INLINE int32_t OneRow(const uint64_t* a, const uint64_t* b, int64_t words) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  WordVec sum = hn::Zero(d);
  for (int64_t w = 0; w < words; w += lanes) {
    sum = hn::Add(sum, hn::PopulationCount(hn::Xor(hn::LoadU(d, a + w), hn::LoadU(d, b + w))));
  }
  return SumLanes(sum);
}

// counts[i * kGroup + c] = popcount(row i of a ^ column c of the group), for all rows of `a`.
HWY_INLINE void CountUnpackedGroup(const PackedProblem& p, int64_t group, int32_t* counts) {
  const int64_t col = group * kGroup;
  const int64_t cols = p.group_cols(group);
  int64_t c = 0;
  for (; c + 8 <= cols; c += 8) {
    const uint64_t* b = p.b.row(col + c);
    EightRows<true>(p.a.row(0), b, p.b.stride, p.words, counts + c);
    for (int64_t i = 1; i < p.a.rows; ++i) {
      EightRows<false>(p.a.row(i), b, p.b.stride, p.words, counts + i * kGroup + c);
    }
  }
  for (; c < cols; ++c) {
    for (int64_t i = 0; i < p.a.rows; ++i) {
      counts[i * kGroup + c] = OneRow(p.a.row(i), p.b.row(col + c), p.words);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_
