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
#include "bitgrad/ops/cpu/word_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

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
