// XNOR-popcount matrix product.
//
// Large m: eight (Lanes) columns of c lie in the 64-bit lanes of a vector. b is packed into panels of up to 4 vectors of
// columns with their words interleaved, panel[word][column], so that one word of a row of `a`, broadcast, meets
// all columns of the panel and the counts never have to be summed across lanes. A tile is 6 rows x 4 vectors: 24
// accumulators, 4 vectors of b and one broadcast word fill the 32 registers of AVX-512.
//
// Groups of 64 columns are packed just before they are used, so panels are read from the first two cache levels.
//
// Small m: packing b would cost as much as the product. Rows of b are read as they lie, four at a time, and the lanes
// are summed at the end of each.
//
// Limit: XOR, VPOPCNTQ and add are three instructions per 512 bits on the two vector ports of Ice Lake and later, so
// 512 / 1.5 = 341 bit-MAC per cycle and core. Measured on one core of a Sapphire Rapids at 4.1 GHz, best of many:
//   m = 512, n = k = 4096   1,260 GMAC/s (309 per cycle) into bits, 1,235 into int32; two threads 2,550
//   4096^3                  1,200 (292) into bits; 960 (235) into int32, where 64 MB of output go to memory
//   1024^3                  1,040 (254)
//   m = 10, n = k = 4096    970 (238)
//   m = 1, n = k = 4096     490: b is read at 60 GB/s

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/check.h"
#include "ops/cpu/functions.h"
#include "ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/packed_gemm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "ops/cpu/bits-inl.h"
#include "ops/cpu/packed_panels-inl.h"

#ifndef BITGRAD_OPS_CPU_PACKED_GEMM_SHARED_
#define BITGRAD_OPS_CPU_PACKED_GEMM_SHARED_
namespace bitgrad::cpu {

// Threads share groups of columns of c: a group is a whole word of a bit matrix, so no two threads write to one word.
inline constexpr int64_t kGroup = 64;
inline constexpr int64_t kTileRows = 6;
// Below this many rows of `a`, b is not packed.
inline constexpr int64_t kMinPackedRows = 6;

// What becomes of the dot products.
struct PackedOutput {
  enum class Kind { kI32, kF32, kThreshold };
  Kind kind;
  // kI32
  MatrixView<int32_t> i32;
  int shift;
  bool accumulate;
  // kF32
  MatrixView<float> f32;
  float scale;
  // kThreshold
  BitMatrixView bits;
  const int32_t* threshold;
  const uint8_t* flip;
};

struct PackedProblem {
  ConstBitMatrixView a;
  ConstBitMatrixView b;
  int64_t words;  // of K bits, without the padding words at the end of rows
  PackedOutput out;

  int64_t groups() const { return (b.rows + kGroup - 1) / kGroup; }
  int64_t row_tiles() const { return (a.rows + kTileRows - 1) / kTileRows; }
  int64_t group_end(int64_t group) const { return std::min(b.rows, (group + 1) * kGroup); }
};

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_PACKED_GEMM_SHARED_

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kMaxCounts = kTileRows * kGroup;

// Outputs: functions of a row, its columns [col, col + cols) and their counts popcount(a ^ b). They differ in what they
// do with dot = K - 2 count.
struct ToI32 {
  explicit ToI32(const PackedProblem& p)
      : k(static_cast<int32_t>(p.a.cols)), shift(p.out.shift), accumulate(p.out.accumulate), c(p.out.i32) {}
  HWY_INLINE void operator()(int64_t row, int64_t col, int64_t cols, const int32_t* counts) const {
    int32_t* out = c.row(row) + col;
    if (accumulate) {
      for (int64_t j = 0; j < cols; ++j) out[j] += (k - 2 * counts[j]) << shift;
    } else {
      for (int64_t j = 0; j < cols; ++j) out[j] = (k - 2 * counts[j]) << shift;
    }
  }
  const int32_t k;
  const int shift;
  const bool accumulate;
  const MatrixView<int32_t> c;
};

struct ToF32 {
  explicit ToF32(const PackedProblem& p)
      : k(static_cast<int32_t>(p.a.cols)), scale(p.out.scale), c(p.out.f32) {}
  HWY_INLINE void operator()(int64_t row, int64_t col, int64_t cols, const int32_t* counts) const {
    float* out = c.row(row) + col;
    for (int64_t j = 0; j < cols; ++j) out[j] = static_cast<float>(k - 2 * counts[j]) * scale;
  }
  const int32_t k;
  const float scale;
  const MatrixView<float> c;
};

struct ToBits {
  explicit ToBits(const PackedProblem& p)
      : k(static_cast<int32_t>(p.a.cols)),
        c(p.out.bits),
        threshold(p.out.threshold),
        flip(p.out.flip),
        row_words(BitMatrix::WordsPerRow(p.out.bits.cols)) {}
  HWY_INLINE void operator()(int64_t row, int64_t col, int64_t cols, const int32_t* counts) const {
    // A panel is a part of a word; the word's first panel starts it.
    const int64_t first = col % 64;
    uint8_t bytes[64] = {};
    for (int64_t j = 0; j < cols; ++j) {
      bytes[first + j] =
          static_cast<uint8_t>((k - 2 * counts[j] >= threshold[col + j]) ^ (flip[col + j] & 1));
    }
    uint64_t bits;
    PackByteWord(bytes, 0, &bits);
    uint64_t* words = c.row(row);
    const int64_t w = col / 64;
    words[w] = first == 0 ? bits : words[w] | bits;
    if (col + cols == c.cols) {
      for (int64_t p = w + 1; p < row_words; ++p) words[p] = 0;
    }
  }
  const int32_t k;
  const BitMatrixView c;
  const int32_t* const threshold;
  const uint8_t* const flip;
  const int64_t row_words;
};

// All panels of a group, one after the other: kGroup * words words.
void PackGroup(const PackedProblem& p, int64_t group, uint64_t* panels) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(WordTag()));
  for (int64_t col = group * kGroup; col < p.group_end(group);) {
    const int64_t width = PanelVectors(p.group_end(group) - col) * lanes;
    PackPanel(p.b, p.words, col, width, panels);
    panels += width * p.words;
    col += width;
  }
}

// The low halves of the lanes, which is all there is: counts are below 2^24.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void StoreCounts(WordVec sum, int32_t* counts) {
  counts[0] = static_cast<int32_t>(hn::GetLane(sum));
}
HWY_INLINE void StoreCounts(WordVec sum0, WordVec sum1, int32_t* counts) {
  StoreCounts(sum0, counts);
  StoreCounts(sum1, counts + 1);
}
#else
using CountTag = hn::Repartition<int32_t, WordTag>;
HWY_INLINE void StoreCounts(WordVec sum, int32_t* counts) {
  const CountTag d;
  const hn::Half<CountTag> half;
  const auto low = hn::BitCast(d, sum);
  hn::StoreU(hn::LowerHalf(half, hn::ConcatEven(d, low, low)), half, counts);
}
HWY_INLINE void StoreCounts(WordVec sum0, WordVec sum1, int32_t* counts) {
  const CountTag d;
  hn::StoreU(hn::ConcatEven(d, hn::BitCast(d, sum1), hn::BitCast(d, sum0)), d, counts);
}
#endif

// counts[r * kVectors * Lanes + c] = popcount(row r of a ^ column c of the panel), r < kRows.
template <int kRows, int kVectors>
HWY_NOINLINE void Tile(const uint64_t* a, int64_t a_stride, const uint64_t* panel, int64_t words,
                       int32_t* counts) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  WordVec sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  for (int64_t w = 0; w < words; ++w) {
    WordVec b[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) b[v] = hn::Load(d, panel + (w * kVectors + v) * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const WordVec x = hn::Set(d, a[r * a_stride + w]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = hn::Add(sum[r][v], hn::PopulationCount(hn::Xor(x, b[v])));
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    if constexpr (kVectors == 1) {
      StoreCounts(sum[r][0], counts + r * lanes);
    } else {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v += 2) {
        StoreCounts(sum[r][v], sum[r][v + 1], counts + (r * kVectors + v) * lanes);
      }
    }
  }
}

using TileFunction = void(const uint64_t*, int64_t, const uint64_t*, int64_t, int32_t*);

// Indexed by rows - 1 and log2(vectors).
constexpr TileFunction* kTiles[kTileRows][3] = {
    {Tile<1, 1>, Tile<1, 2>, Tile<1, 4>}, {Tile<2, 1>, Tile<2, 2>, Tile<2, 4>},
    {Tile<3, 1>, Tile<3, 2>, Tile<3, 4>}, {Tile<4, 1>, Tile<4, 2>, Tile<4, 4>},
    {Tile<5, 1>, Tile<5, 2>, Tile<5, 4>}, {Tile<6, 1>, Tile<6, 2>, Tile<6, 4>},
};

// Row tiles [tile_begin, tile_end) of one group: panel by panel, so that a panel stays in the first-level cache
// while the rows of `a` pass.
template <typename Output>
void MultiplyGroup(const PackedProblem& p, const Output& output, const uint64_t* panels,
                   int64_t group, int64_t tile_begin, int64_t tile_end) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(WordTag()));
  alignas(64) int32_t counts[kMaxCounts];
  const uint64_t* panel = panels;
  for (int64_t col = group * kGroup; col < p.group_end(group);) {
    const int64_t vectors = PanelVectors(p.group_end(group) - col);
    const int64_t width = vectors * lanes;
    const int64_t cols = std::min(width, p.group_end(group) - col);
    for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
      const int64_t row = tile * kTileRows;
      const int64_t rows = std::min(kTileRows, p.a.rows - row);
      kTiles[rows - 1][vectors / 2](p.a.row(row), p.a.stride, panel, p.words, counts);
      for (int64_t r = 0; r < rows; ++r) output(row + r, col, cols, counts + r * width);
    }
    panel += width * p.words;
    col += width;
  }
}

HWY_INLINE int32_t SumLanes(WordVec sum) {
  return static_cast<int32_t>(hn::GetLane(hn::SumOfLanes(WordTag(), sum)));
}

// counts[c] = popcount(a ^ row c of b), c < 4. Reads whole vectors: the padding words at the end of rows are zero.
HWY_INLINE void FourRows(const uint64_t* a, const uint64_t* b, int64_t b_stride, int64_t words,
                         int32_t* counts) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  WordVec s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  for (int64_t w = 0; w < words; w += lanes) {
    const WordVec x = hn::LoadU(d, a + w);
    s0 = hn::Add(s0, hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + w))));
    s1 = hn::Add(s1, hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + b_stride + w))));
    s2 = hn::Add(s2, hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + 2 * b_stride + w))));
    s3 = hn::Add(s3, hn::PopulationCount(hn::Xor(x, hn::LoadU(d, b + 3 * b_stride + w))));
  }
  counts[0] = SumLanes(s0);
  counts[1] = SumLanes(s1);
  counts[2] = SumLanes(s2);
  counts[3] = SumLanes(s3);
}

HWY_INLINE int32_t OneRow(const uint64_t* a, const uint64_t* b, int64_t words) {
  const WordTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  WordVec sum = hn::Zero(d);
  for (int64_t w = 0; w < words; w += lanes) {
    sum = hn::Add(sum, hn::PopulationCount(hn::Xor(hn::LoadU(d, a + w), hn::LoadU(d, b + w))));
  }
  return SumLanes(sum);
}

template <typename Output>
void MultiplyUnpackedGroup(const PackedProblem& p, const Output& output, int64_t group) {
  int32_t counts[kMaxCounts];
  const int64_t col = group * kGroup;
  const int64_t cols = p.group_end(group) - col;
  int64_t c = 0;
  for (; c + 4 <= cols; c += 4) {
    for (int64_t i = 0; i < p.a.rows; ++i) {
      FourRows(p.a.row(i), p.b.row(col + c), p.b.stride, p.words, counts + i * kGroup + c);
    }
  }
  for (; c < cols; ++c) {
    for (int64_t i = 0; i < p.a.rows; ++i) {
      counts[i * kGroup + c] = OneRow(p.a.row(i), p.b.row(col + c), p.words);
    }
  }
  for (int64_t i = 0; i < p.a.rows; ++i) output(i, col, cols, counts + i * kGroup);
}

template <typename Body>
HWY_INLINE void WithOutput(const PackedProblem& p, const Body& body) {
  switch (p.out.kind) {
    case PackedOutput::Kind::kI32: return body(ToI32(p));
    case PackedOutput::Kind::kF32: return body(ToF32(p));
    case PackedOutput::Kind::kThreshold: return body(ToBits(p));
  }
}

// Units [begin, end) of group-major (group, row tile) pairs. A group is packed where it is used, so that it is read from
// the cache; two threads that share one both pack it. `panels` has room for a group.
void Multiply(const PackedProblem& p, int64_t begin, int64_t end, uint64_t* panels) {
  WithOutput(p, [&](const auto& output) {
    const int64_t tiles = p.row_tiles();
    while (begin < end) {
      const int64_t group = begin / tiles;
      const int64_t tile = begin % tiles;
      const int64_t tile_end = std::min(tiles, tile + end - begin);
      PackGroup(p, group, panels);
      MultiplyGroup(p, output, panels, group, tile, tile_end);
      begin += tile_end - tile;
    }
  });
}

void MultiplyUnpacked(const PackedProblem& p, int64_t begin, int64_t end) {
  WithOutput(p, [&](const auto& output) {
    for (int64_t group = begin; group < end; ++group) MultiplyUnpackedGroup(p, output, group);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(Multiply);
HWY_EXPORT(MultiplyUnpacked);

// Words that meet (a XOR, a count, an add) in some ten microseconds: less work is not worth a thread.
constexpr int64_t kWordGrain = 1 << 18;

void PackedGemm(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, PackedOutput out) {
  BITGRAD_DCHECK(a.cols == b.cols && a.cols < (1 << 24));
  if (a.rows == 0 || b.rows == 0) return;
  const PackedProblem p = {a, b, (a.cols + 63) / 64, out};
  const int64_t ranges = std::clamp<int64_t>(a.rows * b.rows * p.words / kWordGrain, 1, context.threads());
  if (a.rows < kMinPackedRows) {
    ParallelFor(context.threads(), p.groups(), std::max<int64_t>(1, p.groups() / ranges),
                [&](int64_t begin, int64_t end) { HWY_DYNAMIC_DISPATCH(MultiplyUnpacked)(p, begin, end); });
    return;
  }
  const int64_t units = p.groups() * p.row_tiles();
  const int64_t group_words = kGroup * p.words;
  const size_t bytes = static_cast<size_t>(ranges * group_words) * sizeof(uint64_t);
  uint64_t* panels = static_cast<uint64_t*>(context.allocator().Allocate(bytes));
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      HWY_DYNAMIC_DISPATCH(Multiply)
      (p, units * r / ranges, units * (r + 1) / ranges, panels + r * group_words);
    }
  });
  context.allocator().Deallocate(panels, bytes);
}

}  // namespace

void PackedGemmI32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, int shift,
                   bool accumulate, MatrixView<int32_t> c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  PackedGemm(context, a, b,
             {.kind = PackedOutput::Kind::kI32, .i32 = c, .shift = shift, .accumulate = accumulate});
}

void PackedGemmF32(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, float scale,
                   MatrixView<float> c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  PackedGemm(context, a, b, {.kind = PackedOutput::Kind::kF32, .f32 = c, .scale = scale});
}

void PackedGemmThreshold(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b,
                         const int32_t* threshold, const uint8_t* flip, BitMatrixView c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows);
  PackedGemm(context, a, b,
             {.kind = PackedOutput::Kind::kThreshold, .bits = c, .threshold = threshold, .flip = flip});
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
