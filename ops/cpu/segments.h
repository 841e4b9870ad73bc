// How kernels cut matrices into pieces for threads.

#ifndef BITGRAD_OPS_CPU_SEGMENTS_H_
#define BITGRAD_OPS_CPU_SEGMENTS_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/parallel_for.h"

namespace bitgrad::cpu {

// With fewer elements than this per thread, another thread costs more than it saves: waking it takes some microseconds.
inline constexpr int64_t kGrain = 16384;

// The least number of rows per thread, where a row has `cols` elements.
inline int64_t RowGrain(int64_t cols) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, cols)); }

// Calls body(row, begin, end) on pieces of rows that cover [rows, cols]. With `flat`, for which all operands have to be
// contiguous, the matrix is taken as a single row: body(0, begin, end) with begin, end in [0, rows * cols).
template <typename Body>
void ForEachSegment(int threads, int64_t rows, int64_t cols, bool flat, const Body& body) {
  if (flat) {
    ParallelFor(threads, rows * cols, kGrain, [&](int64_t begin, int64_t end) { body(int64_t{0}, begin, end); });
    return;
  }
  if (cols == 0) return;
  ParallelFor(threads, rows, RowGrain(cols), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) body(i, int64_t{0}, cols);
  });
}

// A piece of one row of a bit matrix: the columns [begin, end). `begin` is the first bit of a word, and the piece that
// contains the row's last column also contains the row's padding words.
struct BitSegment {
  int64_t row;
  int64_t begin;
  int64_t end;
  int64_t words;  // the number of words from word begin / 64 on, padding words included

  int64_t size() const { return end - begin; }
  int64_t word() const { return begin / 64; }
};

// Calls body(segment) on pieces of rows that cover a bit matrix of [rows, cols].
template <typename Body>
void ForEachBitSegment(int threads, int64_t rows, int64_t cols, const Body& body) {
  constexpr int64_t kCols = 4096;
  const int64_t pieces = (cols + kCols - 1) / kCols;
  const int64_t grain = RowGrain(std::min(cols, kCols));
  ParallelFor(threads, rows * pieces, grain, [&](int64_t first, int64_t last) {
    for (int64_t unit = first; unit < last; ++unit) {
      const int64_t begin = unit % pieces * kCols;
      const int64_t end = std::min(cols, begin + kCols);
      const int64_t last_word = end == cols ? BitMatrix::WordsPerRow(cols) : end / 64;
      body(BitSegment{unit / pieces, begin, end, last_word - begin / 64});
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_SEGMENTS_H_
