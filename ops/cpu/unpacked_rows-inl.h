// Few rows times a matrix: packing b would cost as much as the product, so its rows are read as they lie and the lanes
// are summed at the end of each. Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_
#undef BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_
#else
#define BITGRAD_OPS_CPU_UNPACKED_ROWS_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "ops/cpu/packed_panels-inl.h"
#include "ops/cpu/packed_problem.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

HWY_INLINE int32_t SumLanes(WordVec sum) {
  return static_cast<int32_t>(hn::GetLane(hn::SumOfLanes(WordTag(), sum)));
}

// counts[c] = popcount(a ^ row c of b), c < 4. Reads whole vectors: the padding words at the end of rows are zero.
HWY_INLINE void FourRows(const uint64_t* a, const uint64_t* b, int64_t b_stride, int64_t words,
                         int32_t* counts) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  WordVec s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  for (int64_t w = 0; w < words; w += lanes) {
    const WordVec x = hn::LoadU(d, a + w);
    s0 = hn::Add(s0, hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + w))));
    s1 = hn::Add(s1, hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + b_stride + w))));
    s2 = hn::Add(s2, hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + 2 * b_stride + w))));
    s3 = hn::Add(s3, hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + 3 * b_stride + w))));
  }
  counts[0] = SumLanes(s0);
  counts[1] = SumLanes(s1);
  counts[2] = SumLanes(s2);
  counts[3] = SumLanes(s3);
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

// counts[i * kGroup + c] for all rows of a and the columns of a group.
HWY_INLINE void CountUnpackedGroup(const PackedProblem& p, int64_t group, int32_t* counts) {
  const int64_t col = group * kGroup;
  const int64_t cols = p.group_cols(group);
  int64_t c = 0;
  for (; c + 4 <= cols; c += 4) {
    for (int64_t i = 0; i < p.a.rows; ++i) {
      FourRows(p.a.row(i), p.b.row(col + c), p.b.stride, p.words, counts + i * kGroup + c);
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
