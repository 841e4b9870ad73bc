// What the parts of the product with packed signs (sign_gemm.cc) share: its operands, its scratch and how it is cut
// into pieces.

#ifndef BITGRAD_OPS_CPU_SIGN_PROBLEM_H_
#define BITGRAD_OPS_CPU_SIGN_PROBLEM_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/view.h"

namespace bitgrad::cpu {

inline constexpr int64_t kSignGroup = 64;
inline constexpr int64_t kSignTileRows = 6;
// The number of tiles in a block of rows of `a`. A block is multiplied with one panel before the next block of k comes;
// its sums stay in the cache.
inline constexpr int64_t kSignBlockTiles = 84;

// Exactly one of a_f32 and a_s8 is set, and with a_s8 the scales.
struct SignProblem {
  ConstMatrixView<float> a_f32;
  bool transpose_a;
  ConstMatrixView<int8_t> a_s8;
  int max_code;  // no element of a_s8 has a larger magnitude
  ConstBitMatrixView b;
  MatrixView<float> c;
  float scale;
  const float* scales;  // one for each row of `a`
  void* tiles;          // `a`, packed: room for m * k floats, with k rounded up to a multiple of 4
  int32_t* row_sums;    // one for each row of `a`
  bool wants_squares;
  double* squares;  // one for each unit of work
  bool past_cache;  // c is written once, is larger than the cache and allows aligned stores

  int64_t m() const { return c.rows; }
  int64_t k() const { return b.rows; }

  int64_t tile_count() const { return (m() + kSignTileRows - 1) / kSignTileRows; }
  int64_t blocks() const { return (tile_count() + kSignBlockTiles - 1) / kSignBlockTiles; }
  int64_t groups() const { return (b.cols + kSignGroup - 1) / kSignGroup; }
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_SIGN_PROBLEM_H_
