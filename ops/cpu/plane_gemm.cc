// Product of operands in bit planes: S = sum over pairs of planes of 2^(p + q) popcount(a_p & b_q).
//
// Panels and tiles as in packed_gemm.cc, one panel per plane of b. The pairs are taken by falling p + q, and between two
// values of it the sums of the tile are doubled (Horner), so they stay in registers from the first pair to the last and a
// pair costs an AND, a population count and an addition per vector, as one XNOR product does. b is packed for one row,
// too: reading its rows as they lie was slower for every pair of encodings, since each column's lanes had to be summed.
//
// Measured: docs/performance.md.

#include <algorithm>
#include <cstdint>

#include "core/check.h"
#include "ops/cpu/coded_gemm.h"
#include "ops/cpu/functions.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/plane_gemm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "ops/cpu/dot_output-inl.h"
#include "ops/cpu/packed_panels-inl.h"

#ifndef BITGRAD_OPS_CPU_PLANE_GEMM_SHARED_
#define BITGRAD_OPS_CPU_PLANE_GEMM_SHARED_
namespace bitgrad::cpu {

struct PlaneProblem {
  ConstPlanesView a;
  ConstPlanesView b;
  int64_t words;  // of K bits, without the padding words at the end of rows
  DotTerms terms;
  DotOutput out;

  int64_t plane_words() const { return words * kGroupCols; }  // of a group of columns, one plane
};

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_PLANE_GEMM_SHARED_

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// 24 accumulators where there are 32 registers, 12 where there are 16.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
constexpr int64_t kPanelVectors = 4;
#else
constexpr int64_t kPanelVectors = 2;
#endif

// Rows of each plane from one row on.
struct PlaneRows {
  const uint64_t* data[kMaxCodeBits];
  int64_t stride[kMaxCodeBits];
  int count;
};

HWY_INLINE PlaneRows RowsFrom(const ConstPlanesView& x, int64_t row) {
  PlaneRows rows = {.count = x.encoding.bits};
  for (int p = 0; p < rows.count; ++p) {
    rows.data[p] = x.planes[p].row(row);
    rows.stride[p] = x.planes[p].stride;
  }
  return rows;
}

// sums[r * kGroupCols + c] = S of row r and column c of the panel, r < kRows. Plane q of the panel starts at
// panel + q * plane_words.
template <int kRows>
HWY_NOINLINE void PlaneTile(const PlaneRows& a, const uint64_t* panel, int64_t plane_words, int b_planes,
                            int64_t words, int32_t* sums) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  WordVec sum[kRows][kPanelVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  for (int weight = a.count + b_planes - 2; weight >= 0; --weight) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kPanelVectors; ++v) sum[r][v] = hn::Add(sum[r][v], sum[r][v]);
    }
    for (int p = std::max(0, weight - b_planes + 1); p <= std::min(weight, a.count - 1); ++p) {
      const uint64_t* x = a.data[p];
      const int64_t stride = a.stride[p];
      const uint64_t* y = panel + (weight - p) * plane_words;
      for (int64_t w = 0; w < words; ++w) {
        WordVec b[kPanelVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kPanelVectors; ++v) b[v] = hn::Load(d, y + (w * kPanelVectors + v) * lanes);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const WordVec word = hn::Set(d, x[r * stride + w]);
#pragma GCC unroll 8
          for (int v = 0; v < kPanelVectors; ++v) {
            sum[r][v] = hn::Add(sum[r][v], hn::PopulationCount(hn::And(word, b[v])));
          }
        }
      }
    }
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

using PlaneTileFunction = void(const PlaneRows&, const uint64_t*, int64_t, int, int64_t, int32_t*);
constexpr PlaneTileFunction* kPlaneTiles[kTileRows] = {PlaneTile<1>, PlaneTile<2>, PlaneTile<3>,
                                                       PlaneTile<4>, PlaneTile<5>, PlaneTile<6>};

int32_t PlaneCodeSum(const ConstPlanesView& x, int64_t i, int64_t words) { return CodeSum(x, i, words); }

// Row tiles [tile_begin, tile_end) of one group. `panels` has room for the group's planes.
void MultiplyPlaneGroup(const PlaneProblem& p, int64_t group, int64_t tile_begin, int64_t tile_end,
                        uint64_t* panels) {
  const int64_t width = kPanelVectors * static_cast<int64_t>(hn::Lanes(WordTag()));
  const int64_t first = group * kGroupCols;
  const int64_t cols = std::min(kGroupCols, p.b.rows() - first);
  const int b_planes = p.b.encoding.bits;
  for (int q = 0; q < b_planes; ++q) {
    for (int64_t col = 0; col < cols; col += width) {
      PackPanel(p.b.planes[q], p.words, first + col, width, panels + q * p.plane_words() + col * p.words);
    }
  }
  int32_t column_sums[kGroupCols] = {};
  if (p.terms.a.least != 0) {
    for (int64_t j = 0; j < cols; ++j) column_sums[j] = CodeSum(p.b, first + j, p.words);
  }
  const GroupOutput output(p.out, p.terms, group, column_sums);
  alignas(64) int32_t sums[kTileRows * kGroupCols] = {};
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t row = tile * kTileRows;
    const int64_t rows = std::min(kTileRows, p.a.rows() - row);
    const PlaneRows a = RowsFrom(p.a, row);
    for (int64_t col = 0; col < cols; col += width) {
      kPlaneTiles[rows - 1](a, panels + col * p.words, p.plane_words(), b_planes, p.words, sums + col);
    }
    for (int64_t r = 0; r < rows; ++r) output.Write(row + r, sums + r * kGroupCols);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(PlaneCodeSum);
HWY_EXPORT(MultiplyPlaneGroup);

// Words that meet (an AND, a count, an addition) in some ten microseconds: less work is not worth a thread.
constexpr int64_t kPlaneGrain = 1 << 18;

}  // namespace

void PlaneGemm(ExecContext& context, const ConstPlanesView& a, const ConstPlanesView& b, const DotOutput& out) {
  const int64_t m = a.rows(), n = b.rows(), k = b.cols();
  BITGRAD_DCHECK(a.cols() == k && DotIsExact(a.encoding, b.encoding, k));
  if (m == 0 || n == 0) return;
  PlaneProblem p = {.a = a, .b = b, .words = (k + 63) / 64, .out = out};
  p.terms = {CodeMapOf(a.encoding), CodeMapOf(b.encoding), static_cast<int32_t>(k), nullptr};
  Scratch<int32_t> row_terms(context, m);
  for (int64_t i = 0; i < m; ++i) {
    row_terms.data()[i] =
        p.terms.b.least == 0 ? 0 : p.terms.RowTerm(HWY_DYNAMIC_DISPATCH(PlaneCodeSum)(a, i, p.words));
  }
  p.terms.row_terms = row_terms.data();

  const int64_t pairs = a.encoding.bits * b.encoding.bits;
  const int64_t ranges = RangeCount(context, m * n * p.words * pairs, kPlaneGrain);
  const int64_t panel_words = b.encoding.bits * p.plane_words();
  Scratch<uint64_t> panels(context, ranges * panel_words);
  ForEachGroup(context, m, n, ranges, [&](int64_t range, int64_t group, int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(MultiplyPlaneGroup)
    (p, group, begin, end, panels.data() + range * panel_words);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
