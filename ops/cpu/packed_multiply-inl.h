// Products of row tiles with packed groups: the part that packed GEMM and packed convolution share. Included through
// foreach_target.h only.
//
// `Tiles` are the instruction set's inner loops: population counts of words where there is an instruction for them
// (popcount_tile-inl.h), else table lookups (lookup_tile-inl.h).

#if defined(BITGRAD_OPS_CPU_PACKED_MULTIPLY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_PACKED_MULTIPLY_INL_H_
#undef BITGRAD_OPS_CPU_PACKED_MULTIPLY_INL_H_
#else
#define BITGRAD_OPS_CPU_PACKED_MULTIPLY_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/cpu/packed_problem.h"
#include "hwy/highway.h"
#if HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3_DL && HWY_TARGET <= HWY_SSSE3
#include "bitgrad/ops/cpu/lookup_tile-inl.h"
#else
#include "bitgrad/ops/cpu/popcount_tile-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

#if HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3_DL && HWY_TARGET <= HWY_SSSE3
using Tiles = LookupTiles;
#else
using Tiles = PopcountTiles;
#endif

// The size of a block of rows of `a`, which is multiplied with all packed groups before the next block: it stays in the
// second-level cache.
constexpr int64_t kRowBytes = 128 << 10;

inline void PackRowTiles(const PackedProblem& p, int64_t begin, int64_t end, uint8_t* row_tiles) {
  const int64_t bytes = Tiles::RowTileBytes(p);
  for (int64_t tile = begin; tile < end; ++tile) Tiles::PackRowTile(p, tile, row_tiles + tile * bytes);
}

// Packs groups [group, group + groups), one after the other.
inline void PackGroups(const PackedProblem& p, int64_t group, int64_t groups, uint8_t* panels) {
  const int64_t bytes = Tiles::GroupBytes(p);
  for (int64_t g = 0; g < groups; ++g) Tiles::PackGroup(p, group + g, panels + g * bytes);
}

// Multiplies row tiles [tile_begin, tile_end) with the groups [group, group + groups), which `panels` holds packed.
template <typename Output>
void MultiplyTiles(const PackedProblem& p, const uint8_t* row_tiles, int64_t tile_begin, int64_t tile_end,
                   int64_t group, int64_t groups, uint8_t* panels, Output& output) {
  alignas(64) int32_t counts[kTileRows * kGroup];
  const int64_t row_tile_bytes = Tiles::RowTileBytes(p);
  const int64_t group_bytes = Tiles::GroupBytes(p);
  const int64_t tile_bytes = std::max<int64_t>(row_tile_bytes, kTileRows * p.words * 8);
  const int64_t block = std::max<int64_t>(1, kRowBytes / std::max<int64_t>(1, tile_bytes));
  for (int64_t begin = tile_begin; begin < tile_end; begin += block) {
    const int64_t end = std::min(tile_end, begin + block);
    for (int64_t g = group; g < group + groups; ++g) {
      const int64_t cols = p.group_cols(g);
      uint8_t* group_panels = panels + (g - group) * group_bytes;
      output.BeginGroup(g, cols);
      for (int64_t tile = begin; tile < end; ++tile) {
        for (int64_t r = 0; r < p.tile_rows(tile); ++r) output.Prefetch(tile * kTileRows + r, g);
        Tiles::Count(p, tile, row_tiles + tile * row_tile_bytes, g, group_panels, counts);
        for (int64_t r = 0; r < p.tile_rows(tile); ++r) {
          output(tile * kTileRows + r, g, cols, p.terms(), counts + r * kGroup);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_PACKED_MULTIPLY_INL_H_
