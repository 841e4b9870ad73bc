#include "bitgrad/runtime/tap_tables.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/tensor.h"

#ifndef BITGRAD_RUNTIME_TAP_TABLES_CONSTANTS_
#define BITGRAD_RUNTIME_TAP_TABLES_CONSTANTS_
namespace bitgrad {
namespace {

// Rows and columns of a table, its floats, and filters that are computed at a time.
constexpr int64_t kSide = 4, kTable = kSide * kSide;
// Of a channel and 16 filters: places and weights.
constexpr int64_t kTermFloats = 2 * kTable;
constexpr int64_t kMostOutputs = 4;
// Tables whose outputs are computed together: 4 tables of 4 outputs are 16 sums, which stay in registers beside a
// channel's places and weights and the tables themselves.
constexpr int64_t kTablesAtOnce = 4;

// Up to kTablesAtOnce tables next to each other.
struct TapTile {
  int64_t channels;
  int64_t padded_channels;  // up to a multiple of 16
  int64_t filters;
  const float* terms;
  const float* windows[kSide];  // of the first table; those of the others follow
  int64_t count;
  const int32_t* steps;  // from the places of a table's first output to those of each one
  float* y;              // the first output
  int64_t out_width;
  int64_t out_rows, out_columns;  // of outputs that there are
};

}  // namespace
}  // namespace bitgrad
#endif  // BITGRAD_RUNTIME_TAP_TABLES_CONSTANTS_

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/tap_tables.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if !HWY_HAVE_SCALABLE && HWY_MAX_BYTES >= 64

bool HasTables() { return true; }

using Floats = hn::FixedTag<float, kTable>;
using Ints = hn::FixedTag<int32_t, kTable>;

// function.operator()<0>() ... <count - 1>(): a loop that is unrolled, so that arrays stay in registers.
template <int count, typename Function>
HWY_INLINE void Unroll(Function&& function) {
  [&]<int... k>(std::integer_sequence<int, k...>) HWY_ATTR { (function.template operator()<k>(), ...); }
  (std::make_integer_sequence<int, count>());
}

// Where a channel's window lies among those of 16 channels: as MakeWindow stores them.
HWY_INLINE int64_t WindowPlace(int64_t channel) { return channel % kSide * kTable + channel / kSide * kSide; }

// Table number t of a channel, from the windows of four rows.
HWY_INLINE hn::VFromD<Floats> MakeTable(const TapTile& tile, int64_t t, int64_t channel) {
  const Floats d;
  const int64_t at = (t * tile.padded_channels + channel / kTable * kTable) * kSide + WindowPlace(channel % kTable);
  const auto row3 = hn::LoadDup128(d, tile.windows[3] + at);
  const auto row23 = hn::IfThenElse(hn::FirstN(d, 3 * kSide), hn::LoadDup128(d, tile.windows[2] + at), row3);
  const auto row123 = hn::IfThenElse(hn::FirstN(d, 2 * kSide), hn::LoadDup128(d, tile.windows[1] + at), row23);
  return hn::IfThenElse(hn::FirstN(d, kSide), hn::LoadDup128(d, tile.windows[0] + at), row123);
}

// The sums of 16 filters, from `filter` on, at the outputs of kTables tables, which were made before, or are made where
// they are needed (kMade).
template <int kDown, int kAcross, int kTables, bool kMade>
HWY_INLINE void SumFilters(const TapTile& tile, int64_t filter, const float* tables) {
  constexpr int kOutputs = kDown * kAcross;
  const Floats d;
  const Ints di;
  hn::VFromD<Floats> sums[kOutputs * kTables];
  hn::VFromD<Ints> steps[kOutputs];
  Unroll<kOutputs * kTables>([&]<int k>() HWY_ATTR { sums[k] = hn::Zero(d); });
  Unroll<kOutputs>([&]<int output>() HWY_ATTR { steps[output] = hn::Set(di, tile.steps[output]); });
  const float* term = tile.terms + filter * tile.channels * (kTermFloats / kTable);
  for (int64_t i = 0; i < tile.channels; ++i, term += kTermFloats) {
    hn::VFromD<Floats> own[kTables];
    Unroll<kTables>([&]<int t>() HWY_ATTR {
      if constexpr (kMade) {
        own[t] = hn::LoadU(d, tables + (t * tile.padded_channels + i) * kTable);
      } else {
        own[t] = MakeTable(tile, t, i);
      }
    });
    const auto places = hn::BitCast(di, hn::LoadU(d, term));
    const auto weights = hn::LoadU(d, term + kTable);
    Unroll<kOutputs>([&]<int output>() HWY_ATTR {
      const auto from = hn::IndicesFromVec(d, output == 0 ? places : hn::Add(places, steps[output]));
      Unroll<kTables>([&]<int t>() HWY_ATTR {
        sums[t * kOutputs + output] =
            hn::MulAdd(weights, hn::TableLookupLanes(own[t], from), sums[t * kOutputs + output]);
      });
    });
  }
  const auto lanes = hn::FirstN(d, static_cast<size_t>(tile.filters - filter));
  Unroll<kDown>([&]<int down>() HWY_ATTR {
    if (down >= tile.out_rows) return;
    float* to = tile.y + down * tile.out_width * tile.filters + filter;
    Unroll<kTables * kAcross>([&]<int column>() HWY_ATTR {
      constexpr int output = down * kAcross + column % kAcross;
      if (column < tile.out_columns) hn::BlendedStore(sums[column / kAcross * kOutputs + output], lanes, d, to);
      to += tile.filters;
    });
  });
}

// window[WindowPlace(i) + e] = pixels[e][i], for four pixels and each 16 channels i of `channels`; what lies behind the
// last one, up to a multiple of 16, is 0.
HWY_INLINE void MakeWindow(const float* const* pixels, int64_t channels, float* window) {
  const Floats d;
  const hn::FixedTag<double, kTable / 2> pairs;
  const auto transpose = [&](auto p0, auto p1, auto p2, auto p3) HWY_ATTR {
    const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, p0, p1));
    const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, p2, p3));
    const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, p0, p1));
    const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, p2, p3));
    // In block b of vector k: the four pixels of channel 4 b + k.
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), d, window);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), d, window + kTable);
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), d, window + 2 * kTable);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), d, window + 3 * kTable);
    window += kTable * kSide;
  };
  const float *const e0 = pixels[0], *const e1 = pixels[1], *const e2 = pixels[2], *const e3 = pixels[3];
  int64_t i = 0;
  for (; i + kTable <= channels; i += kTable) {
    transpose(hn::LoadU(d, e0 + i), hn::LoadU(d, e1 + i), hn::LoadU(d, e2 + i), hn::LoadU(d, e3 + i));
  }
  if (i == channels) return;
  const auto rest = hn::FirstN(d, static_cast<size_t>(channels - i));
  transpose(hn::MaskedLoad(rest, d, e0 + i), hn::MaskedLoad(rest, d, e1 + i), hn::MaskedLoad(rest, d, e2 + i),
            hn::MaskedLoad(rest, d, e3 + i));
}

// `count` windows, one every `step` pixels, of a row of an image; the first one begins at `left`, which may lie before
// the row, as others may end behind it. zeros: the channels of a pixel outside.
void MakeWindows(const float* row, int64_t width, int64_t channels, int64_t left, int64_t step, int64_t count,
                 const float* zeros, float* windows) {
  const int64_t window_floats = (channels + kTable - 1) / kTable * kTable * kSide;
  for (int64_t t = 0; t < count; ++t, left += step, windows += window_floats) {
    const float* pixels[kSide];
    for (int64_t e = 0; e < kSide; ++e) {
      pixels[e] = left + e >= 0 && left + e < width ? row + (left + e) * channels : zeros;
    }
    MakeWindow(pixels, channels, windows);
  }
}

// All filters of kTables tables. Tables that more than 16 filters read are made once, in `tables`.
template <int kDown, int kAcross, int kTables>
HWY_INLINE void SumTables(const TapTile& tile, float* tables) {
  if (tile.filters <= kTable) return SumFilters<kDown, kAcross, kTables, false>(tile, 0, nullptr);
  float* to = tables;
  for (int64_t t = 0; t < kTables; ++t) {
    for (int64_t i = 0; i < tile.padded_channels; i += kTable) {
      Unroll<kTable>([&]<int k>() HWY_ATTR { hn::StoreU(MakeTable(tile, t, i + k), Floats(), to + k * kTable); });
      to += kTable * kTable;
    }
  }
  for (int64_t filter = 0; filter < tile.filters; filter += kTable) {
    SumFilters<kDown, kAcross, kTables, true>(tile, filter, tables);
  }
}

// The sums are registers only where all of this is inlined.
template <int kDown, int kAcross>
HWY_FLATTEN void SumTile(const TapTile& tile, float* tables) {
  switch (tile.count) {
    case 1: return SumTables<kDown, kAcross, 1>(tile, tables);
    case 2: return SumTables<kDown, kAcross, 2>(tile, tables);
    case 3: return SumTables<kDown, kAcross, 3>(tile, tables);
    default: return SumTables<kDown, kAcross, kTablesAtOnce>(tile, tables);
  }
}

// Where a table has one or two rows, and columns, of outputs. With memory for kTablesAtOnce tables of each channel.
void SumTaps(int64_t down, int64_t across, const TapTile& tile, float* tables) {
  switch (down * 2 + across) {
    case 3: return SumTile<1, 1>(tile, tables);
    case 4: return SumTile<1, 2>(tile, tables);
    case 5: return SumTile<2, 1>(tile, tables);
    default: return SumTile<2, 2>(tile, tables);
  }
}

#else

bool HasTables() { return false; }
void MakeWindows(const float*, int64_t, int64_t, int64_t, int64_t, int64_t, const float*, float*) {}
void SumTaps(int64_t, int64_t, const TapTile&, float*) {}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad {
namespace {

HWY_EXPORT(HasTables);
HWY_EXPORT(MakeWindows);
HWY_EXPORT(SumTaps);

// Rows of tables that are computed one after the other: each of them needs two new rows of windows, the first one four.
constexpr int64_t kBlockRows = 4;

int64_t CeilOfQuotient(int64_t n, int64_t divisor) { return (n + divisor - 1) / divisor; }

// How many outputs next to each other, one or two, read no more than a side of a table.
int64_t OutputsOfSide(int64_t kernel, int64_t stride) { return kernel + stride <= kSide ? 2 : 1; }

}  // namespace

bool TapTables::AreFor(const ConvGeometry& geometry) {
  return geometry.kernel_height <= kSide && geometry.kernel_width <= kSide && HWY_DYNAMIC_DISPATCH(HasTables)();
}

TapTables::TapTables(const ConvGeometry& geometry, const float* w, const uint8_t* taps)
    : geometry_(geometry),
      outputs_down_(OutputsOfSide(geometry.kernel_height, geometry.stride_height)),
      outputs_across_(OutputsOfSide(geometry.kernel_width, geometry.stride_width)),
      tables_down_(CeilOfQuotient(geometry.out_height(), outputs_down_)),
      tables_across_(CeilOfQuotient(geometry.out_width(), outputs_across_)),
      // So that two threads have a part of a small image, too.
      block_rows_(std::min(kBlockRows, CeilOfQuotient(tables_down_, 2))),
      channels_(CeilOfQuotient(geometry.channels, kTable) * kTable),
      zeros_(static_cast<size_t>(geometry.channels)) {
  const ConvGeometry& g = geometry_;
  const int64_t vectors = CeilOfQuotient(g.filters, kTable);
  terms_.assign(static_cast<size_t>(vectors * g.channels * kTermFloats), 0.0f);
  for (int64_t o = 0; o < g.filters; ++o) {
    for (int64_t i = 0; i < g.channels; ++i) {
      const int64_t tap = taps[o * g.channels + i];
      // A kernel that is zero stays one: the weight 0 of any pixel.
      if (tap >= g.kernel_height * g.kernel_width) continue;
      float* const term = terms_.data() + (o / kTable * g.channels + i) * kTermFloats + o % kTable;
      const auto place = static_cast<int32_t>(tap / g.kernel_width * kSide + tap % g.kernel_width);
      std::memcpy(term, &place, sizeof(place));
      term[kTable] = w[o * g.channels + i];
    }
  }
}

void TapTables::RunBlock(const float* x, float* y, int64_t first_row, int64_t rows, int64_t first_table,
                         float* windows) const {
  const ConvGeometry& g = geometry_;
  const int64_t row_floats = kTablesAtOnce * channels_ * kSide, step = outputs_down_ * g.stride_height;
  float* const tables = windows + kSide * row_floats;
  int32_t steps[kMostOutputs] = {};
  for (int64_t k = 0; k < outputs_down_ * outputs_across_; ++k) {
    const int64_t places = k / outputs_across_ * g.stride_height * kSide + k % outputs_across_ * g.stride_width;
    steps[k] = static_cast<int32_t>(places);
  }
  const int64_t out_column = first_table * outputs_across_;
  TapTile tile = {.channels = g.channels,
                  .padded_channels = channels_,
                  .filters = g.filters,
                  .terms = terms_.data(),
                  .count = std::min(kTablesAtOnce, tables_across_ - first_table),
                  .steps = steps,
                  .out_width = g.out_width(),
                  .out_columns = g.out_width() - out_column};
  int64_t made = 0;  // rows of windows, of which the last four are kept
  for (int64_t row = first_row; row < first_row + rows; ++row) {
    for (int64_t k = 0; k < kSide; ++k) {
      const int64_t window_row = row * step + k;
      float* const own = windows + window_row % kSide * row_floats;
      tile.windows[k] = own;
      if (row > first_row && window_row < made) continue;
      made = window_row + 1;
      const int64_t image_row = window_row - g.pad_height;
      if (image_row < 0 || image_row >= g.height) {
        std::fill_n(own, tile.count * channels_ * kSide, 0.0f);
      } else {
        HWY_DYNAMIC_DISPATCH(MakeWindows)
        (x + image_row * g.width * g.channels, g.width, g.channels, out_column * g.stride_width - g.pad_width,
         outputs_across_ * g.stride_width, tile.count, zeros_.data(), own);
      }
    }
    const int64_t out_row = row * outputs_down_;
    tile.y = y + (out_row * g.out_width() + out_column) * g.filters;
    tile.out_rows = g.out_height() - out_row;
    HWY_DYNAMIC_DISPATCH(SumTaps)(outputs_down_, outputs_across_, tile, tables);
  }
}

void TapTables::Run(ExecContext& context, int64_t batch, const float* x, float* y) const {
  const ConvGeometry& g = geometry_;
  const int64_t blocks = CeilOfQuotient(tables_down_, block_rows_),
                tiles = CeilOfQuotient(tables_across_, kTablesAtOnce);
  const int64_t image = g.height * g.width * g.channels, result = g.out_height() * g.out_width() * g.filters;
  const int64_t pieces = batch * blocks * tiles, workers = std::min<int64_t>(context.threads(), pieces);
  if (pieces == 0) return;
  const int64_t size = kTablesAtOnce * channels_ * (kSide * kSide + kTable);
  Tensor memory({workers, size}, DType::kFloat32, context.allocator());
  float* const all = memory.mutable_data<float>();
  ParallelFor(context.threads(), workers, 1, [&](int64_t first, int64_t last) {
    for (int64_t worker = first; worker < last; ++worker) {
      for (int64_t b = pieces * worker / workers; b < pieces * (worker + 1) / workers; ++b) {
        const int64_t n = b / (blocks * tiles), row = b / tiles % blocks * block_rows_;
        RunBlock(x + n * image, y + n * result, row, std::min(block_rows_, tables_down_ - row),
                 b % tiles * kTablesAtOnce, all + worker * size);
      }
    }
  });
}

}  // namespace bitgrad

#endif  // HWY_ONCE
