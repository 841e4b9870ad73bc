// Tiles of the packed GEMM by XOR and population count, for instruction sets that count the ones of 64-bit words.
// Included through foreach_target.h only.
//
// Columns of c lie in the 64-bit lanes of a vector: eight, with AVX-512. b is packed into panels of up to 4 vectors of
// columns with their words interleaved, panel[word][column]. So one word of a row of `a`, broadcast, is combined with
// all columns of the panel, and counts never have to be summed across lanes. A tile is 6 rows x 4 vectors: 24
// accumulators, 4 vectors of b and one broadcast word fill the 32 registers of AVX-512.

#if defined(BITGRAD_OPS_CPU_POPCOUNT_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_POPCOUNT_TILE_INL_H_
#undef BITGRAD_OPS_CPU_POPCOUNT_TILE_INL_H_
#else
#define BITGRAD_OPS_CPU_POPCOUNT_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/cpu/packed_problem.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/packed_panels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// StoreCounts() stores the low halves of the lanes. They hold the whole counts, which are below 2^24.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void StoreCounts(WordVec sum, int32_t* counts) { counts[0] = static_cast<int32_t>(hn::GetLane(sum)); }
HWY_INLINE void StoreCounts(WordVec sum0, WordVec sum1, int32_t* counts) {
  StoreCounts(sum0, counts);
  StoreCounts(sum1, counts + 1);
}
#else
HWY_INLINE void StoreCounts(WordVec sum, int32_t* counts) {
  const hn::Repartition<int32_t, WordTag> d;
  const hn::Half<decltype(d)> half;
  const auto low = hn::BitCast(d, sum);
  hn::StoreU(hn::LowerHalf(half, hn::ConcatEven(d, low, low)), half, counts);
}
HWY_INLINE void StoreCounts(WordVec sum0, WordVec sum1, int32_t* counts) {
  const hn::Repartition<int32_t, WordTag> d;
  hn::StoreU(hn::ConcatEven(d, hn::BitCast(d, sum1), hn::BitCast(d, sum0)), d, counts);
}
#endif

#if HWY_TARGET == HWY_NEON
// Arm counts the ones of bytes. Adding those counts up to words takes three more instructions, so it is postponed for
// as long as bytes can hold them.
constexpr int64_t kPartWords = 255 / 8;
using PartTag = hn::Repartition<uint8_t, WordTag>;
HWY_INLINE WordVec SumOfParts(hn::Vec<PartTag> parts) { return hn::SumsOf8(parts); }
#else
constexpr int64_t kPartWords = int64_t{1} << 18;  // all words, as K < 2^24
using PartTag = WordTag;
HWY_INLINE WordVec SumOfParts(WordVec parts) { return parts; }
#endif
using PartVec = hn::Vec<PartTag>;

// part[r][v] += the counts of ones in words [begin, end) of (row r of a ^ vector v of the panel).
template <int kRows, int kVectors>
HWY_INLINE void AddCounts(const uint64_t* a, int64_t a_stride, const uint64_t* panel, int64_t begin, int64_t end,
                          PartVec (&part)[kRows][kVectors]) {
  const WordTag d;
  const PartTag d_part;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t w = begin; w < end; ++w) {
    WordVec b[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) b[v] = hn::Load(d, panel + (w * kVectors + v) * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const WordVec x = hn::Set(d, a[r * a_stride + w]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        part[r][v] = hn::Add(part[r][v], hn::PopulationCount(hn::BitCast(d_part, hn::Xor(x, b[v]))));
      }
    }
  }
}

// counts[r * kGroup + c] = popcount(row r of a ^ column c of the panel), r < kRows, c < kVectors * Lanes.
template <int kRows, int kVectors>
HWY_NOINLINE void CountTile(const uint64_t* a, int64_t a_stride, const uint64_t* panel, int64_t words,
                            int32_t* counts) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  PartVec part[kRows][kVectors];
  WordVec sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) part[r][v] = hn::Zero(PartTag());
  }
  AddCounts(a, a_stride, panel, 0, std::min(words, kPartWords), part);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[r][v] = SumOfParts(part[r][v]);
  }
#if HWY_TARGET == HWY_NEON
  for (int64_t w = kPartWords; w < words; w += kPartWords) {
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) part[r][v] = hn::Zero(PartTag());
    }
    AddCounts(a, a_stride, panel, w, std::min(words, w + kPartWords), part);
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Add(sum[r][v], SumOfParts(part[r][v]));
    }
  }
#endif
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    if constexpr (kVectors == 1) {
      StoreCounts(sum[r][0], counts + r * kGroup);
    } else {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v += 2) {
        StoreCounts(sum[r][v], sum[r][v + 1], counts + r * kGroup + v * lanes);
      }
    }
  }
}

using CountTileFunction = void(const uint64_t*, int64_t, const uint64_t*, int64_t, int32_t*);

// Indexed by rows - 1 and by log2(vectors).
constexpr CountTileFunction* kCountTiles[kTileRows][3] = {
    {CountTile<1, 1>, CountTile<1, 2>, CountTile<1, 4>}, {CountTile<2, 1>, CountTile<2, 2>, CountTile<2, 4>},
    {CountTile<3, 1>, CountTile<3, 2>, CountTile<3, 4>}, {CountTile<4, 1>, CountTile<4, 2>, CountTile<4, 4>},
    {CountTile<5, 1>, CountTile<5, 2>, CountTile<5, 4>}, {CountTile<6, 1>, CountTile<6, 2>, CountTile<6, 4>},
};

struct PopcountTiles {
  // Packing b pays from this many rows of `a` on. With short rows it pays earlier, as the alternative's sums over lanes
  // then take a larger part of the time.
  static int64_t MinRows(const PackedProblem& p) { return p.words < 32 ? 8 : kMaxUnpackedRows + 1; }

  // `a` is read in place, not packed.
  static int64_t RowTileBytes(const PackedProblem&) { return 0; }
  static void PackRowTile(const PackedProblem&, int64_t, uint8_t*) {}

  static int64_t GroupBytes(const PackedProblem& p) { return kGroup * p.words * 8; }

  // Packs all panels of a group, one after the other.
  static void PackGroup(const PackedProblem& p, int64_t group, uint8_t* panels) {
    ForEachPanel(p, group, panels, [&](int64_t col, int64_t vectors, uint64_t* panel) HWY_ATTR {
      PackPanel(p.b, p.words, group * kGroup + col, vectors * Lanes(), panel);
    });
  }

  // counts[r * kGroup + c] = popcount(row r of the tile ^ column c of the group).
  static HWY_INLINE void Count(const PackedProblem& p, int64_t tile, const uint8_t*, int64_t group, uint8_t* panels,
                               int32_t* counts) {
    const CountTileFunction* const* tiles = kCountTiles[p.tile_rows(tile) - 1];
    const uint64_t* a = p.a.row(tile * kTileRows);
    ForEachPanel(p, group, panels, [&](int64_t col, int64_t vectors, uint64_t* panel) HWY_ATTR {
      tiles[vectors / 2](a, p.a.stride, panel, p.words, counts + col);
    });
  }

 private:
  static HWY_INLINE int64_t Lanes() { return static_cast<int64_t>(hn::Lanes(WordTag())); }

  template <typename Body>
  static HWY_INLINE void ForEachPanel(const PackedProblem& p, int64_t group, uint8_t* panels, const Body& body) {
    const int64_t cols = p.group_cols(group);
    uint64_t* panel = reinterpret_cast<uint64_t*>(panels);
    for (int64_t col = 0; col < cols;) {
      const int64_t vectors = PanelVectors(cols - col);
      body(col, vectors, panel);
      panel += vectors * Lanes() * p.words;
      col += vectors * Lanes();
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_POPCOUNT_TILE_INL_H_
