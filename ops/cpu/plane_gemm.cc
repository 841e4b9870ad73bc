// The product of coded operands in bit planes.
//
// In general S = sum over pairs of planes of 2^(p + q) popcount(a_p & b_q). The pairs are processed by falling p + q,
// and from one value of p + q to the next the sums of the tile are doubled (Horner's scheme). So the sums stay in
// registers from the first pair to the last, and a pair costs an AND, a population count and an addition per vector, as
// much as one XNOR product.
//
// Ternary codes need fewer counts. A bit of plane 0 is 1 where the code is 0, one of plane 1 where it is +1, so a
// product is -1 where neither code is 0 and the signs in the planes 1 differ. With K the number of products and Z the
// number of zeros
//   ternary x binary    dot = K - Z(a) - 2 popcount(~a_0 & (a_1 ^ b))
//   ternary x ternary   dot = K - popcount(a_0 | b_0) - 2 popcount(~(a_0 | b_0) & (a_1 ^ b_1))
// This is one count instead of two, and two instead of four. Zero padding adds nothing to any of them.
//
// Panels and tiles are as in packed_gemm.cc, with one panel per plane of b. For a single row of `a` and pairs of
// planes, the rows of b are read in place where a few instructions sum up the lanes of eight of them.
//
// Measured: docs/performance.md.

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/coded_gemm.h"
#include "bitgrad/ops/cpu/cpu_kernels.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/plane_problem.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/plane_gemm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/dot_output-inl.h"
#include "bitgrad/ops/cpu/packed_panels-inl.h"
#include "bitgrad/ops/cpu/word_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// A tile has 24 accumulators where there are 32 vector registers, 12 where there are 16.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
constexpr int64_t kPanelVectors = 4;
#else
constexpr int64_t kPanelVectors = 2;
#endif

// The rows of each plane, starting with some row.
struct PlaneRows {
  const uint64_t* data[kMaxCodeBits];
  int64_t stride;
  int count;
};

HWY_INLINE PlaneRows RowsFrom(const ConstPlanesView& x, int64_t row) {
  PlaneRows rows = {.stride = x.planes[0].stride, .count = x.encoding.bits};
  for (int p = 0; p < rows.count; ++p) rows.data[p] = x.planes[p].row(row);
  return rows;
}

// Which combination of a word of each operand is counted. The ternary ones are subtracted from the sum.
enum class CountedBits { kAnd, kSignsDifferTernaryA, kSignsDifferTernaryB, kSignsDifferTernaryBoth, kEitherZero };

// The planes of an operand that are combined. For kAnd and for binary operands only `low` is used.
template <typename T>
struct PlanePair {
  T low;
  T high;
};

template <CountedBits kCounted>
HWY_INLINE WordVec AddCount(WordVec sum, const PlanePair<WordVec>& a, const PlanePair<WordVec>& b) {
  if constexpr (kCounted == CountedBits::kAnd) return hn::Add(sum, hn::PopulationCount(hn::And(a.low, b.low)));
  WordVec word;
  if constexpr (kCounted == CountedBits::kSignsDifferTernaryA) word = hn::AndNot(a.low, hn::Xor(a.high, b.low));
  if constexpr (kCounted == CountedBits::kSignsDifferTernaryB) word = hn::AndNot(b.low, hn::Xor(a.low, b.high));
  if constexpr (kCounted == CountedBits::kSignsDifferTernaryBoth) {
    word = hn::AndNot(hn::Or(a.low, b.low), hn::Xor(a.high, b.high));
  }
  if constexpr (kCounted == CountedBits::kEitherZero) word = hn::Or(a.low, b.low);
  return hn::Sub(sum, hn::PopulationCount(word));
}

template <int kRows>
using TileSums = WordVec[kRows][kPanelVectors];

// Adds one combination, counted over all words of K, to the sums.
template <CountedBits kCounted, int kRows>
HWY_INLINE void AddPass(const PlanePair<const uint64_t*>& a, int64_t a_stride, const PlanePair<const uint64_t*>& panel,
                        int64_t words, TileSums<kRows>& sum) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t w = 0; w < words; ++w) {
    // Not an array of pairs: g++ compiles the pair's default constructor without NEON, which its vectors need.
    WordVec low[kPanelVectors], high[kPanelVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kPanelVectors; ++v) {
      const int64_t at = (w * kPanelVectors + v) * lanes;
      low[v] = hn::Load(d, panel.low + at);
      high[v] = hn::Load(d, panel.high + at);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const int64_t at = r * a_stride + w;
      const PlanePair<WordVec> x = {hn::Set(d, a.low[at]), hn::Set(d, a.high[at])};
#pragma GCC unroll 8
      for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = AddCount<kCounted>(sum[r][v], x, {low[v], high[v]});
    }
  }
}

template <int kRows>
HWY_INLINE void Double(TileSums<kRows>& sum) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = hn::Add(sum[r][v], sum[r][v]);
  }
}

// sums[r * kGroupCols + c] = S of row r and column c of the panel, r < kRows. Plane q of the panel starts at panel + q
// * plane_words().
template <int kRows>
HWY_NOINLINE void PlaneTile(const PlaneProblem& p, const PlaneRows& a, const uint64_t* panel, int32_t* sums) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t words = p.words;
  const PlanePair<const uint64_t*> x = {a.data[0], a.data[a.count - 1]};
  const PlanePair<const uint64_t*> y = {panel, panel + (p.b.encoding.bits - 1) * p.plane_words()};
  TileSums<kRows> sum;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  switch (p.form) {
    case PlaneForm::kPairs:
      for (int weight = a.count + p.b.encoding.bits - 2; weight >= 0; --weight) {
        Double<kRows>(sum);
        const int first = std::max(0, weight - p.b.encoding.bits + 1);
        for (int i = first; i <= std::min(weight, a.count - 1); ++i) {
          const uint64_t* plane = panel + (weight - i) * p.plane_words();
          AddPass<CountedBits::kAnd, kRows>({a.data[i], a.data[i]}, a.stride, {plane, plane}, words, sum);
        }
      }
      break;
    case PlaneForm::kTernaryBinary:
      AddPass<CountedBits::kSignsDifferTernaryA, kRows>(x, a.stride, y, words, sum);
      break;
    case PlaneForm::kBinaryTernary:
      AddPass<CountedBits::kSignsDifferTernaryB, kRows>(x, a.stride, y, words, sum);
      break;
    case PlaneForm::kTernaryTernary:
      AddPass<CountedBits::kSignsDifferTernaryBoth, kRows>(x, a.stride, y, words, sum);
      Double<kRows>(sum);
      AddPass<CountedBits::kEitherZero, kRows>(x, a.stride, y, words, sum);
      break;
  }
  alignas(64) uint64_t lane_sums[hn::MaxLanes(WordTag())];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kPanelVectors; ++v) {
      hn::Store(sum[r][v], d, lane_sums);
      int32_t* out = sums + r * kGroupCols + v * lanes;
      for (int64_t l = 0; l < lanes; ++l) out[l] = static_cast<int32_t>(lane_sums[l]);
    }
  }
}

// Whether a single row is multiplied without packing panels.
HWY_INLINE bool ReadsInPlace(const PlaneProblem& p) {
  return kPanelVectors == 4 && p.form == PlaneForm::kPairs && p.a.rows() == 1;
}

// sums[c] = S of the row of `a` and row first + c of b, c < 8; after the last row of b that row again. It reads whole
// vectors, which is harmless as the padding words at the end of a row are zero.
HWY_INLINE void EightSums(const PlaneProblem& p, int64_t first, int32_t* sums) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int a_bits = p.a.encoding.bits, b_bits = p.b.encoding.bits;
  int64_t offsets[8];
  for (int64_t c = 0; c < 8; ++c) offsets[c] = std::min(first + c, p.b.rows() - 1) * p.b.planes[0].stride;
  WordVec sum[8];
#pragma GCC unroll 8
  for (int c = 0; c < 8; ++c) sum[c] = hn::Zero(d);
  for (int weight = a_bits + b_bits - 2; weight >= 0; --weight) {
#pragma GCC unroll 8
    for (int c = 0; c < 8; ++c) sum[c] = hn::Add(sum[c], sum[c]);
    for (int i = std::max(0, weight - b_bits + 1); i <= std::min(weight, a_bits - 1); ++i) {
      const uint64_t* const a = p.a.planes[i].row(0);
      const uint64_t* const b = p.b.planes[weight - i].row(0);
      for (int64_t w = 0; w < p.words; w += lanes) {
        const WordVec x = hn::LoadU(d, a + w);
#pragma GCC unroll 8
        for (int c = 0; c < 8; ++c) {
          sum[c] = hn::Add(sum[c], hn::PopulationCount(hn::And(x, hn::LoadU(d, b + offsets[c] + w))));
        }
      }
    }
  }
  StoreLaneSums(sum, sums);
}

using PlaneTileFunction = void(const PlaneProblem&, const PlaneRows&, const uint64_t*, int32_t*);
constexpr PlaneTileFunction* kPlaneTiles[kTileRows] = {PlaneTile<1>, PlaneTile<2>, PlaneTile<3>,
                                                       PlaneTile<4>, PlaneTile<5>, PlaneTile<6>};

// The part of dot(i, j) that depends only on row i of `a`, and the part that depends only on row j of b.
int32_t RowTerm(const PlaneProblem& p, int64_t i) {
  switch (p.form) {
    case PlaneForm::kPairs: return p.terms.b.least == 0 ? 0 : p.terms.RowTerm(CodeSum(p.a, i, p.words));
    case PlaneForm::kTernaryBinary: return p.terms.k - CountRow(p.a.planes[0].row(i), p.words);
    case PlaneForm::kBinaryTernary: return 0;
    case PlaneForm::kTernaryTernary: return p.terms.k;
  }
  return 0;
}
HWY_INLINE int32_t ColumnTerm(const PlaneProblem& p, int64_t j) {
  switch (p.form) {
    case PlaneForm::kPairs: return p.terms.a.least == 0 ? 0 : p.terms.ColumnTerm(CodeSum(p.b, j, p.words));
    case PlaneForm::kBinaryTernary: return p.terms.k - CountRow(p.b.planes[0].row(j), p.words);
    case PlaneForm::kTernaryBinary:
    case PlaneForm::kTernaryTernary: return 0;
  }
  return 0;
}

// Multiplies row tiles [tile_begin, tile_end) with one group. `panels` has room for the group's planes.
void MultiplyPlaneGroup(const PlaneProblem& p, int64_t group, int64_t tile_begin, int64_t tile_end, uint64_t* panels) {
  const int64_t width = kPanelVectors * static_cast<int64_t>(hn::Lanes(WordTag()));
  const int64_t first = group * kGroupCols;
  const int64_t cols = std::min(kGroupCols, p.b.rows() - first);
  for (int q = 0; q < p.b.encoding.bits && !ReadsInPlace(p); ++q) {
    for (int64_t col = 0; col < cols; col += width) {
      PackPanel(p.b.planes[q], p.words, first + col, width, panels + q * p.plane_words() + col * p.words);
    }
  }
  int32_t column_terms[kGroupCols] = {};
  for (int64_t j = 0; j < cols; ++j) column_terms[j] = ColumnTerm(p, first + j);
  const GroupOutput output(p.out, p.shift(), p.row_terms, group, column_terms, p.row_classes);
  alignas(64) int32_t sums[kTileRows * kGroupCols] = {};
  if (ReadsInPlace(p)) {
    for (int64_t col = 0; col < cols; col += 8) EightSums(p, first + col, sums + col);
    output.Write(0, sums);
    return;
  }
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t row = tile * kTileRows;
    const int64_t rows = std::min(kTileRows, p.a.rows() - row);
    const PlaneRows a = RowsFrom(p.a, row);
    for (int64_t col = 0; col < cols; col += width) {
      kPlaneTiles[rows - 1](p, a, panels + col * p.words, sums + col);
    }
    for (int64_t r = 0; r < rows; ++r) output.Write(row + r, sums + r * kGroupCols);
  }
}

// Of the x86 targets only HWY_AVX3_DL has VPOPCNTQ. On Arm nothing was measured.
bool CountsWords() { return HWY_TARGET == HWY_AVX3_DL; }

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(RowTerm);
HWY_EXPORT(MultiplyPlaneGroup);
HWY_EXPORT(CountsWords);

}  // namespace

int32_t PlaneRowTerm(const PlaneProblem& p, int64_t i) { return HWY_DYNAMIC_DISPATCH(RowTerm)(p, i); }

void MultiplyPlaneTiles(const PlaneProblem& p, int64_t group, int64_t tile_begin, int64_t tile_end, uint64_t* scratch) {
  HWY_DYNAMIC_DISPATCH(MultiplyPlaneGroup)(p, group, tile_begin, tile_end, scratch);
}

void PlaneGemm(ExecContext& context, const ConstPlanesView& a, const ConstPlanesView& b, const DotOutput& out) {
  const int64_t m = a.rows(), n = b.rows(), k = b.cols();
  BITGRAD_DCHECK(a.cols() == k && DotIsExact(a.encoding, b.encoding, k));
  for (int i = 1; i < a.encoding.bits; ++i) BITGRAD_DCHECK(a.planes[i].stride == a.planes[0].stride);
  if (m == 0 || n == 0) return;
  PlaneProblem p(a.encoding, b);
  p.a = a;
  p.out = out;
  const Scratch<int32_t> row_terms(context, m);
  for (int64_t i = 0; i < m; ++i) row_terms.data()[i] = PlaneRowTerm(p, i);
  p.row_terms = row_terms.data();

  const int64_t pairs = a.encoding.bits * b.encoding.bits;
  const int64_t ranges = RangeCount(context, m * n * p.words * pairs, kPlaneGrain);
  const Scratch<uint64_t> panels(context, ranges * p.scratch_words());
  ForEachGroup(context, m, n, ranges, [&](int64_t range, int64_t group, int64_t begin, int64_t end) {
    MultiplyPlaneTiles(p, group, begin, end, panels.data() + range * p.scratch_words());
  });
}

}  // namespace bitgrad::cpu

namespace bitgrad {

// Uses the dispatch table, which remembers the machine: asking Highway for its targets queries the processor each time,
// which takes microseconds on a virtual machine.
bool CpuCountsWords() {
  using namespace cpu;  // NOLINT: the dispatch table is there
  return HWY_DYNAMIC_DISPATCH(CountsWords)();
}

}  // namespace bitgrad

#endif  // HWY_ONCE
