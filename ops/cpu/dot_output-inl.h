// The output transform of the kernels for coded operands: from sums of products of stored codes to scaled floats,
// threshold bits or codes (DotOutput). Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_DOT_OUTPUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_DOT_OUTPUT_INL_H_
#undef BITGRAD_OPS_CPU_DOT_OUTPUT_INL_H_
#else
#define BITGRAD_OPS_CPU_DOT_OUTPUT_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/ops/cpu/coded_gemm.h"
#include "bitgrad/ops/cpu/group_scales.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"
#include "bitgrad/ops/cpu/level_counter-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// One group of columns of the output. To the following, a row's class may add a term:
//   dot(i, j) = 2^shift S(i, j) + row_terms[i] + column_terms[j - first column]
class GroupOutput {
 public:
  GroupOutput(const DotOutput& out, int shift, const int32_t* row_terms, int64_t group, const int32_t* column_terms,
              const RowClasses& row_classes)
      : out_(out),
        shift_(shift),
        row_terms_(row_terms),
        row_classes_(row_classes),
        col_(group * kGroupCols),
        cols_(std::min(kGroupCols, out.cols() - col_)),
        levels_(out) {
    std::copy_n(column_terms, kGroupCols, column_terms_);
    if (out.floats.data != nullptr) FillGroupScales(out.scale, col_, cols_, scales_);
    if (out.bits.words == nullptr) return;
    // dot >= threshold is tested as dot - column term >= threshold - column term. Sums are far from the limits of
    // int32, so clamping changes no result.
    constexpr int64_t kLeast = std::numeric_limits<int32_t>::min(), kMost = std::numeric_limits<int32_t>::max();
    for (int64_t j = 0; j < cols_; ++j) {
      const int64_t limit = int64_t{out.threshold[col_ + j]} - column_terms_[j];
      column_terms_[j] = static_cast<int32_t>(std::clamp(limit, kLeast, kMost));
      flips_ |= uint64_t{out.flip[col_ + j] & 1u} << j;
    }
  }

  // Writes row `row` of the group from its sums S[kGroupCols]. Sums after the last column are ignored.
  HWY_INLINE void Write(int64_t row, const int32_t* sums) const {
    alignas(64) int32_t shifted[kGroupCols];
    int shift = shift_;
    if (const int32_t* class_terms = row_classes_.Terms(row, col_ / kGroupCols); class_terms != nullptr) {
      for (int64_t j = 0; j < kGroupCols; ++j) shifted[j] = (sums[j] << shift) + class_terms[j];
      sums = shifted;
      shift = 0;
    }
    if (out_.floats.data != nullptr) {
      WriteFloats(row_terms_[row], shift, sums, out_.floats.row(row) + col_);
    } else if (out_.bits.words != nullptr) {
      WriteBits(row_terms_[row], shift, sums, out_.bits.row(row));
    } else {
      const int32_t row_term = row_terms_[row];
      levels_.Write(col_, cols_, out_.codes.row(row),
                    [&](auto, int64_t j) HWY_ATTR { return Dots(row_term, shift, sums, j); });
    }
  }

 private:
  using SumTag = hn::CappedTag<int32_t, 16>;

  HWY_INLINE hn::Vec<SumTag> RowSums(int32_t row_term, int shift, const int32_t* sums) const {
    const SumTag d;
    return hn::Add(hn::ShiftLeftSame(hn::LoadU(d, sums), shift), hn::Set(d, row_term));
  }

  // REQUIRES: the output is not bits, whose column terms are thresholds.
  HWY_INLINE hn::Vec<SumTag> Dots(int32_t row_term, int shift, const int32_t* sums, int64_t j) const {
    return hn::Add(RowSums(row_term, shift, sums + j), hn::LoadU(SumTag(), column_terms_ + j));
  }

  HWY_INLINE void WriteFloats(int32_t row_term, int shift, const int32_t* sums, float* y) const {
    const SumTag d;
    const hn::RebindToFloat<SumTag> df;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    int64_t j = 0;
    for (; j + lanes <= cols_; j += lanes) {
      const auto dot = Dots(row_term, shift, sums, j);
      hn::StoreU(hn::Mul(hn::ConvertTo(df, dot), hn::LoadU(df, scales_ + j)), df, y + j);
    }
    for (; j < cols_; ++j) {
      const int32_t dot = sums[j] * (1 << shift) + row_term + column_terms_[j];
      y[j] = static_cast<float>(dot) * scales_[j];
    }
  }

  HWY_INLINE void WriteBits(int32_t row_term, int shift, const int32_t* sums, uint64_t* words) const {
    const int64_t w = col_ / 64;
    uint64_t below;
    StoreMaskWord(SumTag(), &below, [&](auto d, size_t j) HWY_ATTR {
      return hn::Lt(RowSums(row_term, shift, sums + j), hn::LoadU(d, column_terms_ + j));
    });
    words[w] = (~below ^ flips_) & ~uint64_t{0} >> (kGroupCols - cols_);
    if (col_ + cols_ == out_.bits.cols) {
      std::fill(words + w + 1, words + BitMatrix::WordsPerRow(out_.bits.cols), uint64_t{0});
    }
  }

  const DotOutput& out_;
  const int shift_;
  const int32_t* const row_terms_;
  const RowClasses& row_classes_;
  const int64_t col_;
  const int64_t cols_;
  const LevelCounter levels_;
  uint64_t flips_ = 0;
  float scales_[kGroupCols];
  int32_t column_terms_[kGroupCols];  // for bits: the least dot - column term that reaches the threshold
};

// The number of ones in `words` words. Reads whole vectors, which is harmless as the padding words at the end of a row
// are zero.
HWY_INLINE int32_t CountRow(const uint64_t* row, int64_t words) {
  const hn::CappedTag<uint64_t, 8> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  for (int64_t w = 0; w < words; w += lanes) {
    sum = hn::Add(sum, hn::PopulationCount(hn::LoadU(d, row + w)));
  }
  return static_cast<int32_t>(hn::GetLane(hn::SumOfLanes(d, sum)));
}

// sum_k c of row i of the codes that the planes x hold.
HWY_INLINE int32_t CodeSum(const ConstPlanesView& x, int64_t i, int64_t words) {
  int32_t sum = 0;
  for (int q = 0; q < x.encoding.bits; ++q) sum += CountRow(x.planes[q].row(i), words) << q;
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_DOT_OUTPUT_INL_H_
