// What the parts of the packed GEMM and of the packed convolution share: the operands, the output transform, and how c
// is cut into pieces.

#ifndef BITGRAD_OPS_CPU_PACKED_PROBLEM_H_
#define BITGRAD_OPS_CPU_PACKED_PROBLEM_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::cpu {

// The number of columns of c that are computed together: a whole word of a bit matrix, so that no two threads write to
// the same word.
inline constexpr int64_t kGroup = 64;
inline constexpr int64_t kTileRows = 6;
// With more rows of `a` than this, every instruction set packs b; most do with fewer, too.
inline constexpr int64_t kMaxUnpackedRows = 12;

struct PackedProblem {
  ConstBitMatrixView a;
  ConstBitMatrixView b;
  int64_t words;  // words of K bits, without the padding words at the end of a row
  DotOutput out;

  int32_t terms() const { return static_cast<int32_t>(a.cols); }  // of a dot product: K
  int64_t groups() const { return (b.rows + kGroup - 1) / kGroup; }
  int64_t group_cols(int64_t group) const { return std::min(b.rows - group * kGroup, kGroup); }
  int64_t row_tiles() const { return (a.rows + kTileRows - 1) / kTileRows; }
  int64_t tile_rows(int64_t tile) const { return std::min(a.rows - tile * kTileRows, kTileRows); }
};

// What the inner loops of an instruction set need.
struct PackedSizes {
  int64_t min_rows;        // with fewer rows of `a`, b is not packed
  int64_t row_tile_bytes;  // bytes of a packed row tile of `a`; 0 where `a` is read in place
  int64_t group_bytes;     // bytes of a packed group of b
  int64_t panel_groups;    // how many groups are packed at a time
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_PACKED_PROBLEM_H_
