// The output transforms of the packed GEMM: what they make of dot = K - 2 count. Included through foreach_target.h
// only.

#if defined(BITGRAD_OPS_CPU_PACKED_OUTPUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_PACKED_OUTPUT_INL_H_
#undef BITGRAD_OPS_CPU_PACKED_OUTPUT_INL_H_
#else
#define BITGRAD_OPS_CPU_PACKED_OUTPUT_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/ops/cpu/group_scales.h"
#include "bitgrad/ops/cpu/packed_problem.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"
#include "bitgrad/ops/cpu/level_counter-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using CountTag = hn::CappedTag<int32_t, 16>;

// Prefetches the cache lines of c that a tile is about to write. Otherwise its stores would wait for memory, and the
// stores of the next tile's counts after them.
template <typename T>
HWY_INLINE void PrefetchRow(const MatrixView<T>& c, int64_t row, int64_t group) {
  T* out = c.row(row) + group * kGroup;
  for (int64_t j = 0; j < kGroup; j += 64 / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(out + j, 1);
}

// Calls body(d, j) for the kGroup counts of a row, a vector at a time.
template <typename Body>
HWY_INLINE void ForEachCount(const Body& body) {
  constexpr CountTag d;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
#pragma GCC unroll 4
  for (int64_t j = 0; j < kGroup; j += kLanes) body(d, j);
}

// Each output is called with a row of c, a group, the group's number of columns, the number of terms K, and the kGroup
// counts popcount(a ^ b) of the group's columns; counts after the last column are undefined. BeginGroup(group, cols)
// is called before the first row of a group.
class ToF32 {
 public:
  explicit ToF32(const PackedProblem& p) : scale_(p.out.scale), c_(p.out.floats) {}

  void BeginGroup(int64_t group, int64_t cols) { FillGroupScales(scale_, group * kGroup, cols, group_scale_); }
  HWY_INLINE void Prefetch(int64_t row, int64_t group) const { PrefetchRow(c_, row, group); }

  HWY_INLINE void operator()(int64_t row, int64_t group, int64_t cols, int32_t terms, const int32_t* counts) const {
    float* out = c_.row(row) + group * kGroup;
    const float* scales = group_scale_;
    if (cols < kGroup) {
      for (int64_t j = 0; j < cols; ++j) out[j] = static_cast<float>(terms - 2 * counts[j]) * scales[j];
      return;
    }
    ForEachCount([&](auto d, int64_t j) HWY_ATTR {
      const hn::RebindToFloat<decltype(d)> df;
      const auto count = hn::Load(d, counts + j);
      const auto dot = hn::Sub(hn::Set(d, terms), hn::Add(count, count));
      hn::StoreU(hn::Mul(hn::ConvertTo(df, dot), hn::Load(df, scales + j)), df, out + j);
    });
  }

 private:
  const ScaleView scale_;
  const MatrixView<float> c_;
  alignas(64) float group_scale_[kGroup];
};

class ToBits {
 public:
  explicit ToBits(const PackedProblem& p)
      : row_words_(BitMatrix::WordsPerRow(p.out.bits.cols)),
        c_(p.out.bits),
        threshold_(p.out.threshold),
        flip_(p.out.flip) {}

  void BeginGroup(int64_t group, int64_t cols) {
    uint8_t flip[kGroup] = {};
    std::memcpy(flip, flip_ + group * kGroup, cols);
    std::memset(group_threshold_, 0, sizeof(group_threshold_));
    std::memcpy(group_threshold_, threshold_ + group * kGroup, cols * sizeof(int32_t));
    uint64_t flips;
    PackByteWord(flip, 0, &flips);
    keep_ = ~flips;  // inverted, because the comparison below is dot < threshold
    valid_ = ~uint64_t{0} >> (kGroup - cols);
  }
  HWY_INLINE void Prefetch(int64_t, int64_t) const {}

  HWY_INLINE void operator()(int64_t row, int64_t group, int64_t cols, int32_t terms, const int32_t* counts) const {
    const CountTag d;
    const auto k = hn::Set(d, terms);
    const int32_t* thresholds = group_threshold_;
    uint64_t bits;
    StoreMaskWord(d, &bits, [k, counts, thresholds](auto d, size_t j) HWY_ATTR {
      const auto count = hn::Load(d, counts + j);
      return hn::Lt(hn::Sub(k, hn::Add(count, count)), hn::Load(d, thresholds + j));
    });
    uint64_t* words = c_.row(row);
    words[group] = (bits ^ keep_) & valid_;
    if (group * kGroup + cols == c_.cols) {
      for (int64_t w = group + 1; w < row_words_; ++w) words[w] = 0;
    }
  }

 private:
  const int64_t row_words_;
  const BitMatrixView c_;
  const int32_t* const threshold_;
  const uint8_t* const flip_;
  alignas(64) int32_t group_threshold_[kGroup];
  uint64_t keep_ = 0;
  uint64_t valid_ = 0;
};

class ToCodes {
 public:
  explicit ToCodes(const PackedProblem& p) : c_(p.out.codes), levels_(p.out) {}

  void BeginGroup(int64_t, int64_t) {}
  HWY_INLINE void Prefetch(int64_t row, int64_t group) const { PrefetchRow(c_, row, group); }

  HWY_INLINE void operator()(int64_t row, int64_t group, int64_t cols, int32_t terms, const int32_t* counts) const {
    levels_.Write(group * kGroup, cols, c_.row(row), [&](auto d, int64_t j) HWY_ATTR {
      const auto count = hn::Load(d, counts + j);
      return hn::Sub(hn::Set(d, terms), hn::Add(count, count));
    });
  }

 private:
  const MatrixView<uint8_t> c_;
  const LevelCounter levels_;
};

// Calls body(output) with the output transform that the problem asks for.
template <typename Body>
HWY_INLINE void WithOutput(const PackedProblem& p, const Body& body) {
  if (p.out.floats.data != nullptr) return body(ToF32(p));
  if (p.out.bits.words != nullptr) return body(ToBits(p));
  body(ToCodes(p));
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_PACKED_OUTPUT_INL_H_
