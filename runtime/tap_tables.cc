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

// Floats of a table, and filters that are computed at a time.
constexpr int64_t kTable = 16;
// Of a channel and 16 filters: places and weights.
constexpr int64_t kTermFloats = 2 * kTable;
// Tables whose outputs are computed together: 3 tables of 3 outputs for 32 filters are 18 sums, which stay in registers
// beside the tables, places and weights of a channel. 24 do not.
constexpr int kTablesAtOnce = 3;
constexpr int64_t kMostOutputs = 3;

// What a tile computes: the outputs of some tables, which follow each other, for one or two vectors of 16 filters.
struct TapTile {
  const float* terms;    // of the first vector of filters
  int64_t terms_stride;  // to the next one
  const float* tables;
  int64_t table_stride;
  int64_t channels;
  int32_t step;  // from an output's places in the table to the next one's
  float* y;
  int64_t filters;         // of the convolution: from an output to the next one
  int64_t last_lanes;      // filters of the last vector
  const int64_t* offsets;  // of each table: where its first output lies, from y on
  const int64_t* counts;   // and how many outputs it has
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

template <int kOutputs, int kFilters, int kTables>
void SumTile(const TapTile& tile) {
  const Floats d;
  const Ints di;
  hn::VFromD<Floats> sums[kOutputs * kFilters * kTables], weights[kFilters];
  hn::VFromD<Ints> places[kFilters];
  Unroll<kOutputs * kFilters * kTables>([&]<int k>() HWY_ATTR { sums[k] = hn::Zero(d); });
  const auto step = hn::Set(di, tile.step);
  const float* table = tile.tables;
  const float* term = tile.terms;
  for (int64_t i = 0; i < tile.channels; ++i, table += kTable, term += kTermFloats) {
    Unroll<kFilters>([&]<int f>() HWY_ATTR {
      places[f] = hn::BitCast(di, hn::LoadU(d, term + f * tile.terms_stride));
      weights[f] = hn::LoadU(d, term + f * tile.terms_stride + kTable);
    });
    Unroll<kOutputs * kFilters * kTables>([&]<int k>() HWY_ATTR {
      constexpr int t = k % kTables, f = k / kTables % kFilters, output = k / kTables / kFilters;
      if constexpr (output > 0 && t == 0) places[f] = hn::Add(places[f], step);
      const auto pixels =
          hn::TableLookupLanes(hn::LoadU(d, table + t * tile.table_stride), hn::IndicesFromVec(d, places[f]));
      sums[k] = hn::MulAdd(weights[f], pixels, sums[k]);
    });
  }
  const auto last = hn::FirstN(d, static_cast<size_t>(tile.last_lanes));
  Unroll<kOutputs * kFilters * kTables>([&]<int k>() HWY_ATTR {
    constexpr int t = k % kTables, f = k / kTables % kFilters, output = k / kTables / kFilters;
    if (output >= tile.counts[t]) return;
    float* const to = tile.y + tile.offsets[t] + output * tile.filters + f * kTable;
    if constexpr (f + 1 < kFilters) {
      hn::StoreU(sums[k], d, to);
    } else {
      hn::BlendedStore(sums[k], last, d, to);
    }
  });
}

template <int kOutputs, int kFilters>
void SumTables(int tables, const TapTile& tile) {
  switch (tables) {
    case 1: return SumTile<kOutputs, kFilters, 1>(tile);
    case 2: return SumTile<kOutputs, kFilters, 2>(tile);
    default: return SumTile<kOutputs, kFilters, 3>(tile);
  }
}

// For 1 to 3 outputs of a table, 1 or 2 vectors of filters, and 1 to 3 tables.
void SumTaps(int64_t outputs, int filters, int tables, const TapTile& tile) {
  switch (outputs * 2 + filters) {
    case 3: return SumTables<1, 1>(tables, tile);
    case 4: return SumTables<1, 2>(tables, tile);
    case 5: return SumTables<2, 1>(tables, tile);
    case 6: return SumTables<2, 2>(tables, tile);
    case 7: return SumTables<3, 1>(tables, tile);
    default: return SumTables<3, 2>(tables, tile);
  }
}

// table[i, e] = pixels[e][i] for 16 pixels e and `channels` channels i; what lies behind the last one, up to a multiple
// of 16, is 0.
void MakeTable(const float* const* pixels, int64_t channels, float* table) {
  const Floats d;
  for (int64_t i = 0; i < channels; i += kTable, table += kTable * kTable) {
    hn::VFromD<Floats> quad[16];  // [4 g + k]: of channels 4 b + k in blocks b, pixels 4 g .. 4 g + 3
    const auto mask = hn::FirstN(d, static_cast<size_t>(channels - i));
    const auto load = [&](int e) HWY_ATTR {
      return channels - i >= kTable ? hn::LoadU(d, pixels[e] + i) : hn::MaskedLoad(mask, d, pixels[e] + i);
    };
    Unroll<4>([&]<int g>() HWY_ATTR {
      const auto p0 = load(4 * g), p1 = load(4 * g + 1), p2 = load(4 * g + 2), p3 = load(4 * g + 3);
      const hn::FixedTag<double, kTable / 2> pairs;
      const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, p0, p1));
      const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, p2, p3));
      const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, p0, p1));
      const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, p2, p3));
      quad[4 * g] = hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23));
      quad[4 * g + 1] = hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23));
      quad[4 * g + 2] = hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23));
      quad[4 * g + 3] = hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23));
    });
    Unroll<4>([&]<int k>() HWY_ATTR {
      // Blocks of four pixels: b of quad[4 g + k] becomes g of the table of channel 4 b + k.
      const auto even01 = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(quad[4 + k]), quad[k]);
      const auto odd01 = hn::OddEvenBlocks(quad[4 + k], hn::SwapAdjacentBlocks(quad[k]));
      const auto even23 = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(quad[12 + k]), quad[8 + k]);
      const auto odd23 = hn::OddEvenBlocks(quad[12 + k], hn::SwapAdjacentBlocks(quad[8 + k]));
      hn::StoreU(hn::ConcatLowerLower(d, even23, even01), d, table + k * kTable);
      hn::StoreU(hn::ConcatLowerLower(d, odd23, odd01), d, table + (4 + k) * kTable);
      hn::StoreU(hn::ConcatUpperUpper(d, even23, even01), d, table + (8 + k) * kTable);
      hn::StoreU(hn::ConcatUpperUpper(d, odd23, odd01), d, table + (12 + k) * kTable);
    });
  }
}

#else

bool HasTables() { return false; }
void SumTaps(int64_t, int, int, const TapTile&) {}
void MakeTable(const float* const*, int64_t, float*) {}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad {
namespace {

HWY_EXPORT(HasTables);
HWY_EXPORT(SumTaps);
HWY_EXPORT(MakeTable);

// Floats of the tables of a block of rows: a quarter of a second-level cache of 1 MiB, beside the terms.
constexpr int64_t kBlockFloats = 64 * 1024;

int64_t CeilOfQuotient(int64_t n, int64_t divisor) { return (n + divisor - 1) / divisor; }

// How many outputs next to each other read no more than one table.
int64_t OutputsOfTable(const ConvGeometry& g) {
  int64_t outputs = 1;
  while (outputs < kMostOutputs && g.kernel_height * (g.kernel_width + outputs * g.stride_width) <= kTable) ++outputs;
  return outputs;
}

}  // namespace

bool TapTables::AreFast() { return HWY_DYNAMIC_DISPATCH(HasTables)(); }

TapTables::TapTables(const ConvGeometry& geometry, const float* w, const uint8_t* taps)
    : geometry_(geometry),
      outputs_(OutputsOfTable(geometry)),
      columns_(geometry.kernel_width + (outputs_ - 1) * geometry.stride_width),
      tables_per_row_(CeilOfQuotient(geometry.out_width(), outputs_)),
      table_stride_(CeilOfQuotient(geometry.channels, kTable) * kTable * kTable),
      zeros_(static_cast<size_t>(geometry.channels)) {
  const ConvGeometry& g = geometry_;
  const int64_t most = std::clamp<int64_t>(kBlockFloats / (tables_per_row_ * table_stride_), 1, g.out_height());
  // Blocks of about the same size.
  block_rows_ = CeilOfQuotient(g.out_height(), CeilOfQuotient(g.out_height(), most));
  const int64_t vectors = CeilOfQuotient(g.filters, kTable);
  terms_.assign(static_cast<size_t>(vectors * g.channels * kTermFloats), 0.0f);
  for (int64_t o = 0; o < g.filters; ++o) {
    for (int64_t i = 0; i < g.channels; ++i) {
      const int64_t tap = taps[o * g.channels + i];
      // A kernel that is zero stays one: the weight 0 of any pixel.
      if (tap >= g.kernel_height * g.kernel_width) continue;
      float* const term = terms_.data() + (o / kTable * g.channels + i) * kTermFloats + o % kTable;
      const auto place = static_cast<int32_t>(tap / g.kernel_width * columns_ + tap % g.kernel_width);
      std::memcpy(term, &place, sizeof(place));
      term[kTable] = w[o * g.channels + i];
    }
  }
}

void TapTables::MakeTables(const float* x, int64_t first_row, int64_t rows, float* tables) const {
  const ConvGeometry& g = geometry_;
  const int64_t step = outputs_ * g.stride_width;
  const auto first_column = [&](int64_t t) { return t * step - g.pad_width; };
  const auto is_inside = [&](int64_t t) { return first_column(t) >= 0 && first_column(t) + columns_ <= g.width; };
  const float* pixels[kTable];
  int64_t advance[kTable] = {};  // from one table's pixel to the next one's; 0 where there is none
  std::fill_n(pixels, kTable, zeros_.data());
  for (int64_t p = 0; p < rows; ++p) {
    for (int64_t t = 0; t < tables_per_row_; ++t, tables += table_stride_) {
      if (t > 0 && is_inside(t - 1) && is_inside(t)) {
        for (int64_t e = 0; e < kTable; ++e) pixels[e] += advance[e];
      } else {
        int64_t e = 0;
        for (int64_t r = 0; r < g.kernel_height; ++r) {
          const int64_t row = (first_row + p) * g.stride_height + r - g.pad_height;
          const bool has_row = row >= 0 && row < g.height;
          for (int64_t col = first_column(t); col < first_column(t) + columns_; ++col, ++e) {
            const bool has_pixel = has_row && col >= 0 && col < g.width;
            pixels[e] = has_pixel ? x + (row * g.width + col) * g.channels : zeros_.data();
            advance[e] = has_row ? step * g.channels : 0;
          }
        }
      }
      HWY_DYNAMIC_DISPATCH(MakeTable)(pixels, g.channels, tables);
    }
  }
}

void TapTables::RunBlock(const float* x, float* y, int64_t first_row, int64_t rows, float* tables) const {
  const ConvGeometry& g = geometry_;
  MakeTables(x, first_row, rows, tables);
  const int64_t count = rows * tables_per_row_, vectors = CeilOfQuotient(g.filters, kTable);
  for (int64_t first = 0; first < count; first += kTablesAtOnce) {
    const int at_once = static_cast<int>(std::min<int64_t>(kTablesAtOnce, count - first));
    int64_t offsets[kTablesAtOnce], counts[kTablesAtOnce];
    for (int t = 0; t < at_once; ++t) {
      const int64_t row = first_row + (first + t) / tables_per_row_, col = (first + t) % tables_per_row_ * outputs_;
      offsets[t] = (row * g.out_width() + col) * g.filters;
      counts[t] = std::min(outputs_, g.out_width() - col);
    }
    TapTile tile = {.terms_stride = g.channels * kTermFloats,
                    .tables = tables + first * table_stride_,
                    .table_stride = table_stride_,
                    .channels = g.channels,
                    .step = static_cast<int32_t>(g.stride_width),
                    .filters = g.filters,
                    .offsets = offsets,
                    .counts = counts};
    for (int64_t v = 0; v < vectors; v += 2) {
      const int64_t at_once_vectors = std::min<int64_t>(2, vectors - v);
      tile.terms = terms_.data() + v * tile.terms_stride;
      tile.y = y + v * kTable;
      tile.last_lanes = std::min(kTable, g.filters - (v + at_once_vectors - 1) * kTable);
      HWY_DYNAMIC_DISPATCH(SumTaps)(outputs_, static_cast<int>(at_once_vectors), at_once, tile);
    }
  }
}

void TapTables::Run(ExecContext& context, int64_t batch, const float* x, float* y) const {
  const ConvGeometry& g = geometry_;
  const int64_t blocks = CeilOfQuotient(g.out_height(), block_rows_);
  const int64_t image = g.height * g.width * g.channels, result = g.out_height() * g.out_width() * g.filters;
  const int64_t pieces = batch * blocks, workers = std::min<int64_t>(context.threads(), pieces);
  if (pieces == 0) return;
  const int64_t size = block_rows_ * tables_per_row_ * table_stride_;
  Tensor memory({workers, size}, DType::kFloat32, context.allocator());
  float* const all_tables = memory.mutable_data<float>();
  ParallelFor(context.threads(), workers, 1, [&](int64_t first, int64_t last) {
    for (int64_t worker = first; worker < last; ++worker) {
      for (int64_t b = pieces * worker / workers; b < pieces * (worker + 1) / workers; ++b) {
        const int64_t n = b / blocks, row = b % blocks * block_rows_;
        RunBlock(x + n * image, y + n * result, row, std::min(block_rows_, g.out_height() - row),
                 all_tables + worker * size);
      }
    }
  });
}

}  // namespace bitgrad

#endif  // HWY_ONCE
