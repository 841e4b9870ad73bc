// XNOR-popcount matrix product: how it is cut into blocks and shared among threads. The inner loops are chosen per
// instruction set (packed_multiply-inl.h). For few rows of `a`, b is not packed at all (unpacked_rows-inl.h).
//
// Groups of 64 columns are packed into panels just before they are used, a few groups at a time. Blocks of rows are
// then multiplied with them: those panels and a block stay in the second-level cache, the panels of the current group
// in the first.
//
// Limit of the tile of AVX-512: XOR, VPOPCNTQ and add are three instructions per 512 bits on the two vector ports of
// Ice Lake and later, so 512 / 1.5 = 341 bit-MAC per cycle and core. docs/performance.md has what was measured.

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/packed_problem.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/packed_gemm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/packed_multiply-inl.h"
#include "bitgrad/ops/cpu/packed_output-inl.h"
#include "bitgrad/ops/cpu/unpacked_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// The panels that stay in the second-level cache, of up to 8 groups: they take half of it, rows of `a` the rest.
constexpr int64_t kPanelBytes = 256 << 10;
constexpr int64_t kMaxPanelGroups = 8;

PackedSizes Sizes(const PackedProblem& p) {
  const int64_t group_bytes = Tiles::GroupBytes(p);
  return {.min_rows = Tiles::MinRows(p),
          .row_tile_bytes = Tiles::RowTileBytes(p),
          .group_bytes = group_bytes,
          .panel_groups = std::clamp<int64_t>(kPanelBytes / std::max<int64_t>(1, group_bytes), 1, kMaxPanelGroups)};
}

// Multiplies the units [begin, end). A unit is a (group, row tile) pair, and they are counted group by group. Two
// threads that share a group both pack it. `panels` has room for panel_groups groups.
void Multiply(const PackedProblem& p, const uint8_t* row_tiles, int64_t begin, int64_t end, int64_t panel_groups,
              uint8_t* panels) {
  WithOutput(p, [&](auto&& output) {
    const int64_t tiles = p.row_tiles();
    while (begin < end) {
      const int64_t tile = begin % tiles;
      const int64_t whole = tile == 0 ? (end - begin) / tiles : 0;  // groups from here on of which all tiles are ours
      const int64_t groups = std::clamp<int64_t>(whole, 1, panel_groups);
      const int64_t tile_end = std::min(tiles, tile + end - begin);
      PackGroups(p, begin / tiles, groups, panels);
      MultiplyTiles(p, row_tiles, tile, tile_end, begin / tiles, groups, panels, output);
      begin += groups * (tile_end - tile);
    }
  });
}

// Multiplies all rows of `a`, which are few, with groups [begin, end).
void MultiplyUnpacked(const PackedProblem& p, int64_t begin, int64_t end) {
  WithOutput(p, [&](auto&& output) {
    alignas(64) int32_t counts[kMaxUnpackedRows * kGroup];
    for (int64_t group = begin; group < end; ++group) {
      const int64_t cols = p.group_cols(group);
      output.BeginGroup(group, cols);
      CountUnpackedGroup(p, group, counts);
      for (int64_t i = 0; i < p.a.rows; ++i) output(i, group, cols, p.terms(), counts + i * kGroup);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(Sizes);
HWY_EXPORT(PackRowTiles);
HWY_EXPORT(Multiply);
HWY_EXPORT(MultiplyUnpacked);

// The least work that is worth a thread, some ten microseconds: pairs of words (a XOR, a count and an addition each).
constexpr int64_t kWordGrain = 1 << 18;

}  // namespace

void PackedGemm(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, const DotOutput& out) {
  BITGRAD_DCHECK(a.cols == b.cols && a.cols < (1 << 24));
  if (a.rows == 0 || b.rows == 0) return;
  BITGRAD_DCHECK(out.cols() == b.rows);
  const PackedProblem p = {a, b, (a.cols + 63) / 64, out};
  const int64_t ranges = std::clamp<int64_t>(a.rows * b.rows * p.words / kWordGrain, 1, context.threads());
  const PackedSizes sizes = HWY_DYNAMIC_DISPATCH(Sizes)(p);
  if (a.rows < sizes.min_rows) {
    ParallelFor(context.threads(), p.groups(), std::max<int64_t>(1, p.groups() / ranges),
                [&](int64_t begin, int64_t end) {
                  HWY_DYNAMIC_DISPATCH(MultiplyUnpacked)
                  (p, begin, end);
                });
    return;
  }
  const int64_t tiles = p.row_tiles();
  const int64_t units = p.groups() * tiles;
  const int64_t panel_bytes = sizes.panel_groups * sizes.group_bytes;
  const int64_t row_bytes = (tiles * sizes.row_tile_bytes + 63) / 64 * 64;
  const size_t bytes = static_cast<size_t>(row_bytes + ranges * panel_bytes);
  uint8_t* scratch = static_cast<uint8_t*>(context.allocator().Allocate(bytes));
  if (sizes.row_tile_bytes > 0) {
    ParallelFor(static_cast<int>(ranges), tiles, 1, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(PackRowTiles)(p, begin, end, scratch);
    });
  }
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      HWY_DYNAMIC_DISPATCH(Multiply)
      (p, scratch, units * r / ranges, units * (r + 1) / ranges, sizes.panel_groups,
       scratch + row_bytes + r * panel_bytes);
    }
  });
  context.allocator().Deallocate(scratch, bytes);
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
