// What the two kernels for coded operands (plane_gemm.cc, int8_gemm.cc) share: the affine terms of their dot products,
// and how threads split the work.

#ifndef BITGRAD_OPS_CPU_CODED_GEMM_H_
#define BITGRAD_OPS_CPU_CODED_GEMM_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::cpu {

// The number of columns of the result that are computed together: a whole word of a bit matrix, so that no two threads
// write to the same word.
inline constexpr int64_t kGroupCols = 64;
inline constexpr int64_t kTileRows = 6;
// The least work that is worth a thread, some ten microseconds: in products of bytes, and in pairs of words of planes
// (an AND, a popcount and an addition each).
inline constexpr int64_t kInt8Grain = 1 << 22;
inline constexpr int64_t kPlaneGrain = 1 << 18;

// An encoding's map from stored codes to codes: code = least + step c. Of a logarithmic one, that from the sum of its
// signed digits, which is what kernels multiply with.
struct CodeMap {
  int32_t step;
  int32_t least;
};
inline CodeMap CodeMapOf(const Encoding& encoding) {
  if (!encoding.is_affine()) return {1, 0};
  return {static_cast<int32_t>(encoding.code_step()), static_cast<int32_t>(encoding.least_code())};
}

// The terms of dot(i, j) = step_a step_b S + RowTerm(sum_k c_a) + ColumnTerm(sum_k c_b); see ops/kernels/coded_gemm.h.
struct AffineTerms {
  CodeMap a;
  CodeMap b;
  int32_t k;

  int shift() const { return (a.step == 2 ? 1 : 0) + (b.step == 2 ? 1 : 0); }  // 2^shift = step_a step_b
  int32_t RowTerm(int64_t sum) const { return static_cast<int32_t>(int64_t{a.step} * b.least * sum); }
  int32_t ColumnTerm(int32_t sum) const { return a.least * (b.step * sum + b.least * k); }
};

// Further terms of dot(i, j), which depend on the column and on the class of the row. A convolution corrects its sums
// at the border with them (border_sums.h).
struct RowClasses {
  const int32_t* classes = nullptr;  // [m]; a class below zero has no terms. Null: no row has terms
  const int32_t* terms = nullptr;    // [classes, stride], padded to whole groups of columns
  int64_t stride = 0;

  // The terms of row `row` for the kGroupCols columns of a group, or null where it has none.
  const int32_t* Terms(int64_t row, int64_t group) const {
    if (classes == nullptr || classes[row] < 0) return nullptr;
    return terms + classes[row] * stride + group * kGroupCols;
  }
};

// How many threads are worth using for `work` units of work, if each is to take at least `grain` units.
inline int64_t RangeCount(const ExecContext& context, int64_t work, int64_t grain) {
  return std::clamp<int64_t>(work / grain, 1, context.threads());
}

// Calls body(range, group, tile_begin, tile_end) for all tiles of rows in all groups of columns, group by group, cut
// into `ranges` equal shares.
template <typename Body>
void ForEachGroup(ExecContext& context, int64_t m, int64_t n, int64_t ranges, const Body& body) {
  const int64_t tiles = (m + kTileRows - 1) / kTileRows;
  const int64_t units = (n + kGroupCols - 1) / kGroupCols * tiles;
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t range = first; range < last; ++range) {
      int64_t begin = units * range / ranges;
      const int64_t end = units * (range + 1) / ranges;
      while (begin < end) {
        const int64_t tile = begin % tiles;
        const int64_t tile_end = std::min(tiles, tile + end - begin);
        body(range, begin / tiles, tile, tile_end);
        begin += tile_end - tile;
      }
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_CODED_GEMM_H_
