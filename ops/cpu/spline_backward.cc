#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/cpu/spline_tiles.h"
#include "bitgrad/ops/kernels/scratch.h"

#ifndef BITGRAD_OPS_CPU_SPLINE_BACKWARD_CONSTANTS_
#define BITGRAD_OPS_CPU_SPLINE_BACKWARD_CONSTANTS_
namespace bitgrad::cpu {
namespace {

// What an element's interval has, in one place: the sums over its elements of dy and of dy t, and the slope of the
// spline. So one load of 16 bytes gives what the element adds to, and what its dx needs.
constexpr int64_t kEntryFloats = 4;

}  // namespace
}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_SPLINE_BACKWARD_CONSTANTS_

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/spline_backward.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/spline_places-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kChunk = 16;
// How many chunks are prepared before the first of them is added: what vectors stored is then behind the store buffer's
// end, and preparing, which is arithmetic, runs beside adding, which is loads and stores.
constexpr int64_t kAhead = 8;

// Some elements next to each other. What lies behind the last one adds zeros to some entry.
struct Chunk {
  HWY_ALIGN float terms[2 * kChunk];  // dy and dy t of each, in the order of TermsOf
  HWY_ALIGN int32_t entries[kChunk];  // where each one's entry lies, in floats
  const float* dy;
  float* dx;
  int64_t size;
};

// Where the terms of element i lie: vectors are interleaved without moving their blocks of four.
HWY_INLINE int64_t TermsOf(int64_t i) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  if (lanes < 4) return 2 * i;
  return i / lanes * (2 * lanes) + i % 4 / 2 * lanes + i % lanes / 4 * 4 + i % 2 * 2;
}

HWY_INLINE void Prepare(const SplineConstants& k, const int32_t* offsets, const float* x, Chunk& chunk) {
  const D d;
  const DI di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float rest[2 * kChunk];
  HWY_ALIGN int32_t rest_offsets[kChunk];
  const float* dy = chunk.dy;
  if (chunk.size < kChunk) {
    std::fill_n(rest, 2 * kChunk, 0.0f);
    std::fill_n(rest_offsets, kChunk, 0);
    std::copy_n(x, chunk.size, rest);
    std::copy_n(dy, chunk.size, rest + kChunk);
    std::copy_n(offsets, chunk.size, rest_offsets);
    x = rest;
    dy = rest + kChunk;
    offsets = rest_offsets;
  }
  for (int64_t i = 0; i < kChunk; i += lanes) {
    VI interval;
    const V t = Locate(hn::LoadU(d, x + i), k, interval), g = hn::LoadU(d, dy + i);
    hn::StoreU(hn::Add(hn::ShiftLeft<2>(interval), hn::LoadU(di, offsets + i)), di, chunk.entries + i);
    const V gt = hn::Mul(g, t);
#if HWY_TARGET == HWY_SCALAR
    hn::StoreInterleaved2(g, gt, d, chunk.terms + 2 * i);
#else
    hn::Store(hn::InterleaveLower(d, g, gt), d, chunk.terms + 2 * i);
    hn::Store(hn::InterleaveUpper(d, g, gt), d, chunk.terms + 2 * i + lanes);
#endif
  }
}

#if HWY_TARGET == HWY_SCALAR

HWY_INLINE void Add(const Chunk& chunk, float* entries) {
  for (int64_t i = 0; i < kChunk; ++i) {
    float* const entry = entries + chunk.entries[i];
    if (chunk.dx != nullptr && i < chunk.size) chunk.dx[i] = chunk.dy[i] * entry[2];
    entry[0] += chunk.terms[TermsOf(i)];
    entry[1] += chunk.terms[TermsOf(i) + 1];
  }
}

#else

using Entry = hn::Vec<hn::FixedTag<float, kEntryFloats>>;

// Two floats, and two zeros.
HWY_INLINE Entry LoadPair(const float* pair) {
#if HWY_ARCH_X86
  // The load makes the zeros, without another instruction.
  return Entry{_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pair)))};
#else
  return hn::ZeroExtendVector(hn::FixedTag<float, kEntryFloats>(), hn::Load(hn::FixedTag<float, 2>(), pair));
#endif
}

// Adds an element's terms to its entry, which is returned. Zeros are added to the slope, which changes nothing
// (MakeEntries).
HWY_INLINE Entry Add(const Chunk& chunk, int64_t i, float* entries) {
  const hn::FixedTag<float, kEntryFloats> d;
  float* const entry = entries + chunk.entries[i];
  const Entry sum = hn::Add(LoadPair(chunk.terms + TermsOf(i)), hn::Load(d, entry));
  hn::Store(sum, d, entry);
  return sum;
}

HWY_INLINE void Add(const Chunk& chunk, float* entries) {
  const hn::FixedTag<float, kEntryFloats> d;
  if (chunk.dx == nullptr) {
    for (int64_t i = 0; i < kChunk; ++i) Add(chunk, i, entries);
    return;
  }
  HWY_ALIGN float rest[kChunk];
  const bool is_whole = chunk.size == kChunk;
  if (!is_whole) std::copy_n(chunk.dy, chunk.size, rest);
  const float* const dy = is_whole ? chunk.dy : rest;
  float* const dx = is_whole ? chunk.dx : rest;
  for (int64_t i = 0; i < kChunk; i += 4) {
    const Entry e0 = Add(chunk, i, entries), e1 = Add(chunk, i + 1, entries);
    const Entry e2 = Add(chunk, i + 2, entries), e3 = Add(chunk, i + 3, entries);
    const auto slopes = hn::ConcatLowerLower(d, hn::InterleaveUpper(d, e2, e3), hn::InterleaveUpper(d, e0, e1));
    hn::StoreU(hn::Mul(hn::LoadU(d, dy + i), slopes), d, dx + i);
  }
  if (!is_whole) std::copy_n(rest, chunk.size, chunk.dx);
}

#endif

// Adds the tile's part to the entries, and writes dx, unless it is null.
void BackwardTile(const SplineConstants& k, const SplineTile& tile, const float* x, const float* dy, float* dx,
                  float* entries) {
  Chunk ring[kAhead];
  int64_t made = 0;
  for (int64_t row = 0; row < tile.repeats; ++row) {
    for (int64_t begin = 0; begin < tile.count; begin += kChunk, ++made) {
      const int64_t at = row * tile.stride + begin;
      Chunk& chunk = ring[made % kAhead];
      if (made >= kAhead) Add(chunk, entries);
      chunk.dy = dy + at;
      chunk.dx = dx == nullptr ? nullptr : dx + at;
      chunk.size = std::min(kChunk, tile.count - begin);
      Prepare(k, tile.offsets + begin, x + at, chunk);
    }
  }
  for (int64_t i = std::max<int64_t>(0, made - kAhead); i < made; ++i) Add(ring[i % kAhead], entries);
}

// Entries of `size` coefficients of some channels next to each other; the last one of each channel is no interval's.
void MakeEntries(const SplineConstants& k, const float* coefficients, int64_t size, float* entries) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const V inverse_step = hn::Set(d, k.inverse_step), zero = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes < size; i += lanes) {
    // 0 is added so that no slope is -0, which 0 would change later.
    const V rise = hn::Sub(hn::LoadU(d, coefficients + i + 1), hn::LoadU(d, coefficients + i));
    const V slope = hn::Add(hn::Mul(rise, inverse_step), zero);
    hn::StoreInterleaved4(zero, zero, slope, zero, d, entries + kEntryFloats * i);
  }
  for (; i < size; ++i) {
    float* const entry = entries + kEntryFloats * i;
    entry[0] = entry[1] = entry[3] = 0;
    entry[2] = i + 1 < size ? (coefficients[i + 1] - coefficients[i]) * k.inverse_step + 0.0f : 0.0f;
  }
}

void BackwardInputTile(const SplineConstants& k, const SplineTile& tile, const uint8_t* intervals,
                       const float* coefficients, const float* dy, float* dx) {
  for (int64_t row = 0; row < tile.repeats; ++row) {
    for (int64_t e = 0; e < tile.count; ++e) {
      const int64_t i = row * tile.stride + e;
      const float* const ends = coefficients + tile.offsets[e] + intervals[i];
      dx[i] = dy[i] * ((ends[1] - ends[0]) * k.inverse_step + 0.0f);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(BackwardTile);
HWY_EXPORT(MakeEntries);
HWY_EXPORT(BackwardInputTile);

// Entries, and floats of coefficients, that stay in the first cache.
constexpr int64_t kTableEntries = 1344, kTableFloats = 2048;
// Elements next to each other that have entries of their own.
constexpr int64_t kNeighbours = 16;

// dc_i = sum of dy (1 - t) over interval i + sum of dy t over interval i - 1, for `size` coefficients of channels next
// to each other. No element adds to the last entry of a channel, so the next one begins with 0.
void AddUp(float* entries, int64_t size, int64_t copies, float* dc) {
  for (int64_t copy = 1; copy < copies; ++copy) {
    const float* const own = entries + copy * kEntryFloats * size;
    for (int64_t i = 0; i < kEntryFloats * size; ++i) entries[i] += own[i];
  }
  float from_left = 0;
  for (int64_t i = 0; i < size; ++i) {
    const float g = entries[kEntryFloats * i], gt = entries[kEntryFloats * i + 1];
    dc[i] = g - gt + from_left;
    from_left = gt;
  }
}

}  // namespace

void SplineBackward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                    const float* dy, float* dx, float* dc) {
  const int64_t knots = grid.knots, channels = x.cols, size = channels * knots;
  if (x.rows == 0) std::fill_n(dc, size, 0.0f);
  if (x.size() == 0) return;
  const SplineConstants constants = ConstantsOf(grid);
  // Rows of few channels take turns with entries of their own: neighbours in the same interval then do not wait for
  // each other's sums.
  const int64_t copies = (kNeighbours + channels - 1) / channels;
  const SplineTiles tiles(channels, kEntryFloats * knots, kTableEntries / knots, copies);
  // A block has enough rows that making and adding up its tables is little work beside filling them.
  constexpr int64_t kBlockElements = 32768, kMostBlocks = 32;
  const int64_t block_rows = std::max(
      {(kBlockElements + channels - 1) / channels, 8 * knots, (x.rows + kMostBlocks - 1) / kMostBlocks, int64_t{1}});
  const int64_t blocks = (x.rows + block_rows - 1) / block_rows;
  const int64_t entries_size = kEntryFloats * copies * tiles.width() * knots;
  const Scratch<float> all_entries(context, blocks * entries_size), parts(context, blocks == 1 ? 0 : blocks * size);
  ParallelForBlocks(context.threads(), x.rows, block_rows, [&](int64_t block, int64_t begin, int64_t end) {
    float* const entries = all_entries.data() + block * entries_size;
    float* const part = blocks == 1 ? dc : parts.data() + block * size;
    for (int64_t column = 0; column < channels; column += tiles.width()) {
      const int64_t own = std::min(tiles.width(), channels - column) * knots;
      for (int64_t copy = 0; copy < copies; ++copy) {
        HWY_DYNAMIC_DISPATCH(MakeEntries)
        (constants, coefficients + column * knots, own, entries + copy * kEntryFloats * own);
      }
      tiles.ForEach(column, begin, end, [&](const SplineTile& tile, int64_t first) {
        HWY_DYNAMIC_DISPATCH(BackwardTile)
        (constants, tile, x.data + first, dy + first, dx == nullptr ? nullptr : dx + first, entries);
      });
      AddUp(entries, own, copies, part + column * knots);
    }
  });
  if (blocks == 1) return;
  ParallelFor(context.threads(), channels, RowGrain(blocks * knots), [&](int64_t first, int64_t last) {
    for (int64_t i = first * knots; i < last * knots; ++i) {
      double sum = 0;
      for (int64_t block = 0; block < blocks; ++block) sum += parts.data()[block * size + i];
      dc[i] = static_cast<float>(sum);
    }
  });
}

void SplineBackwardInput(ExecContext& context, const SplineGrid& grid, int64_t rows, int64_t channels,
                         const uint8_t* intervals, const float* coefficients, const float* dy, float* dx) {
  if (rows * channels == 0) return;
  const SplineConstants constants = ConstantsOf(grid);
  const SplineTiles tiles(channels, grid.knots, kTableFloats / grid.knots, /*copies=*/1);
  ParallelFor(context.threads(), rows, RowGrain(channels), [&](int64_t begin, int64_t end) {
    for (int64_t column = 0; column < channels; column += tiles.width()) {
      tiles.ForEach(column, begin, end, [&](const SplineTile& tile, int64_t first) {
        HWY_DYNAMIC_DISPATCH(BackwardInputTile)
        (constants, tile, intervals + first, coefficients + column * grid.knots, dy + first, dx + first);
      });
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
