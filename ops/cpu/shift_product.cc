// Products of fixed-point codes (ops/kernels/shift_product.h), for linear layers and convolutions alike.
//
// Filters lie in the 32-bit lanes of vectors, and one step adds the products of four bytes of an image and four of each
// filter, by VPDPBUSD where the machine has it (int8_tile-inl.h). Patches are not gathered: in an image that has its
// border, each row of a patch is a run of bytes, and those of neighbouring output pixels begin at equal distances. So a
// tile of up to 12 pixels of an output row times up to 4 vectors of filters reads the image where it lies. Weights are
// arranged once, when a model is loaded; a run whose bytes are no multiple of four is filled up with zero weights.
//
// Limit: two VPDPBUSD per cycle with 64 products each.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/coded_gemm.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/shift_filters.h"
#include "bitgrad/ops/kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/shift_product.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/int8_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// The most pixels of a tile; the sums of one take so many rows.
constexpr int64_t kMostPixels = 12;
// What the shifts of codes can tell apart: a larger sum that is shifted to the left is beyond every range.
constexpr int32_t kBeyondCodes = 256;

// sums[r, v] of kRows pixels, each `stride` bytes after the one before it, and kVectors vectors of filters.
template <int kRows, int kVectors>
HWY_NOINLINE void ShiftTile(const uint8_t* x, int64_t stride, const ShiftPanels& f, const int32_t* panel,
                            int32_t* sums) {
  const LaneTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  LaneVec sum[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  const int64_t* const segments = f.segments.data();
  const int64_t count = static_cast<int64_t>(f.segments.size()), steps = f.steps;
  for (int64_t g = 0; g < count; ++g) {
    // A pointer for three pixels, which the addresses of loads can tell apart: there are few registers.
    constexpr int kPointers = (kRows + 2) / 3;
    const uint8_t* from[kPointers];
#pragma GCC unroll 4
    for (int i = 0; i < kPointers; ++i) from[i] = x + segments[g] + 3 * i * stride;
    for (int64_t s = 0; s < steps; ++s) {
      LaneVec b[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) b[v] = hn::Load(d, panel + v * lanes);
      panel += kVectors * lanes;
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        int32_t quad;
        std::memcpy(&quad, from[r / 3] + r % 3 * stride, sizeof(quad));
        const LaneVec a = hn::Set(d, quad);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sum[r][v] = AddProducts(sum[r][v], a, b[v]);
      }
#pragma GCC unroll 4
      for (int i = 0; i < kPointers; ++i) from[i] += 4;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], d, sums + (r * kVectors + v) * lanes);
  }
}

using ShiftTileFunction = void(const uint8_t*, int64_t, const ShiftPanels&, const int32_t*, int32_t*);

struct Tile {
  int64_t rows;
  ShiftTileFunction* multiply;
};

template <int kVectors>
HWY_INLINE Tile LargestTile(int64_t rows) {
  // The accumulators, a few vectors of filters and one of pixels are registers.
  constexpr int kMost = kTileVectors == 4 ? (kVectors <= 2 ? 12 : kVectors == 3 ? 8 : 6) : kVectors == 1 ? 12 : 6;
  if (kMost >= 12 && rows >= 12) return {12, ShiftTile < kMost >= 12 ? 12 : 1, kVectors > };
  if (kMost >= 8 && rows >= 8) return {8, ShiftTile < kMost >= 8 ? 8 : 1, kVectors > };
  if (rows >= 6) return {6, ShiftTile<6, kVectors>};
  if (rows >= 4) return {4, ShiftTile<4, kVectors>};
  if (rows >= 2) return {2, ShiftTile<2, kVectors>};
  return {1, ShiftTile<1, kVectors>};
}

HWY_INLINE Tile TileOf(int64_t rows, int vectors) {
  switch (vectors) {
    case 1: return LargestTile<1>(rows);
    case 2: return LargestTile<2>(rows);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    case 3: return LargestTile<3>(rows);
    case 4: return LargestTile<4>(rows);
#endif
    default: return {};
  }
}

// Of the panels that the kernel takes: the lanes of a vector, and the most vectors.
void PanelLimits(int64_t* lanes, int64_t* vectors) {
  *lanes = static_cast<int64_t>(hn::Lanes(LaneTag()));
  *vectors = kTileVectors;
}

HWY_INLINE LaneVec RoundedShiftRight(LaneVec v, int s) {
  if (s <= 0) return hn::ShiftLeftSame(v, -s);
  return hn::ShiftRightSame(hn::Add(v, hn::Set(LaneTag(), int32_t{1} << (s - 1))), s);
}

// Copies less than a vector.
template <typename T>
HWY_INLINE void CopyFew(const T* from, int64_t count, T* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

// Writes output pixels first .. first + rows - 1 of a panel from their sums.
HWY_INLINE void Write(const ShiftPanels& f, const ShiftPanels::Panel& panel, const ShiftOutput& out, int64_t first,
                      int64_t rows, const int32_t* sums) {
  const LaneTag d;
  const hn::Rebind<uint8_t, LaneTag> d8;
  const hn::RebindToFloat<LaneTag> df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = f.geometry.filters;
  const auto least = hn::Set(d, out.range.least), most = hn::Set(d, out.range.most);
  const auto beyond = hn::Set(d, kBeyondCodes), below = hn::Set(d, -kBeyondCodes);
  const int32_t* const terms = f.terms.data<int32_t>() + panel.terms;
  for (int64_t r = 0; r < rows; ++r) {
    for (int v = 0; v < panel.vectors; ++v, sums += lanes) {
      const int64_t column = v * lanes, at = (first + r) * n + panel.first + column;
      const int64_t count = std::min(lanes, panel.filters - column);
      auto sum = hn::Add(hn::Load(d, sums), hn::LoadU(d, terms + column));
      alignas(64) uint8_t bytes[64];
      if (out.shortcut != nullptr) {
        const uint8_t* codes = out.shortcut + at;
        if (count < lanes) {
          std::memset(bytes, 0, sizeof(bytes));
          CopyFew(codes, count, bytes);
          codes = bytes;
        }
        const auto code = hn::Add(hn::PromoteTo(d, hn::LoadU(d8, codes)), hn::Set(d, out.shortcut_least));
        sum = hn::Add(sum, RoundedShiftRight(code, -out.shortcut_shift));
      }
      if (out.codes.data != nullptr) {
        if (out.shift < 0) sum = hn::Min(hn::Max(sum, below), beyond);
        const auto code = hn::Min(hn::Max(RoundedShiftRight(sum, out.shift), least), most);
        auto stored = hn::DemoteTo(d8, hn::Sub(code, least));
        if (!f.flips.empty()) stored = hn::Xor(stored, hn::LoadU(d8, f.flips.data() + panel.terms + column));
        if (count == lanes) {
          hn::StoreU(stored, d8, out.codes.data + at);
        } else {
          hn::StoreU(stored, d8, bytes);
          CopyFew(bytes, count, out.codes.data + at);
        }
        continue;
      }
      if (out.floats.data != nullptr) {
        alignas(64) float floats[16];
        hn::Store(hn::Mul(hn::ConvertTo(df, sum), hn::Set(df, out.scale)), df, floats);
        CopyFew(floats, count, out.floats.data + at);
      } else {
        alignas(64) int32_t wide[16];
        hn::Store(sum, d, wide);
        CopyFew(wide, count, out.sums.data + at);
      }
    }
  }
}

// Output pixels of one output row: `count` from `first` on, whose first patch begins at x.
void MultiplyRow(const ShiftPanels& f, const uint8_t* x, int64_t stride, int64_t first, int64_t count,
                 const ShiftOutput& out) {
  alignas(64) int32_t sums[kMostPixels * 4 * 16];
  for (const ShiftPanels::Panel& panel : f.panels) {
    const int32_t* const weights = f.weights.data<int32_t>() + panel.offset;
    const uint8_t* const from = x + panel.group * f.geometry.group_channels();
    for (int64_t q = 0; q < count;) {
      const Tile tile = TileOf(count - q, panel.vectors);
      tile.multiply(from + q * stride, stride, f, weights, sums);
      Write(f, panel, out, first + q, tile.rows, sums);
      q += tile.rows;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(PanelLimits);
HWY_EXPORT(MultiplyRow);

// Reads of four bytes may go beyond an image by three.
constexpr int64_t kSlack = 64;

}  // namespace

ShiftPanelSizes ShiftPanelSizesHere() {
  ShiftPanelSizes sizes;
  HWY_DYNAMIC_DISPATCH(PanelLimits)(&sizes.lanes, &sizes.vectors);
  return sizes;
}

void ShiftProduct(ExecContext& context, const ShiftFilters& filters, int64_t batch, const uint8_t* x,
                  const ShiftOutput& out) {
  const auto& f = static_cast<const ShiftPanels&>(filters);
  ConvGeometry g = f.geometry;
  g.batch = 1;
  if (f.is_linear) {
    // Examples are the pixels of one image.
    g.width = batch;
    batch = 1;
  }
  if (batch == 0 || g.out_width() == 0) return;
  const int64_t height = g.height + 2 * g.pad_height, width = g.width + 2 * g.pad_width;
  const int64_t image = g.height * g.width * g.channels, padded = height * width * g.channels;
  // Images are copied where they get a border, or where reads go beyond them.
  const bool copies = g.has_border() || f.segment_size % 4 != 0;
  const Scratch<uint8_t> copy(context, copies ? batch * padded + kSlack : 0);
  const int64_t row_bytes = g.width * g.channels;
  if (copies) {
    std::memset(copy.data() + batch * padded, 0, kSlack);
    ParallelFor(context.threads(), batch, std::max<int64_t>(1, (1 << 18) / padded), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        uint8_t* const to = copy.data() + i * padded;
        if (g.has_border()) std::memset(to, f.border, static_cast<size_t>(padded));
        for (int64_t h = 0; h < g.height; ++h) {
          std::memcpy(to + ((h + g.pad_height) * width + g.pad_width) * g.channels, x + i * image + h * row_bytes,
                      static_cast<size_t>(row_bytes));
        }
      }
    });
    x = copy.data();
  }
  const int64_t pieces = f.is_linear ? (g.out_width() + kShiftLinearRows - 1) / kShiftLinearRows : 1;
  const int64_t rows = batch * g.out_height() * pieces;
  const int64_t row_macs = std::max<int64_t>(1, g.macs() / g.pixels() * g.out_width() / pieces);
  const int64_t grain = std::max<int64_t>(1, kInt8Grain / row_macs);
  ParallelFor(context.threads(), rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / pieces / g.out_height(), p = i / pieces % g.out_height(), piece = i % pieces;
      const int64_t q = piece * kShiftLinearRows;
      const int64_t count = f.is_linear ? std::min(kShiftLinearRows, g.out_width() - q) : g.out_width();
      const uint8_t* const from = x + n * padded + (p * g.stride_height * width + q) * g.channels;
      HWY_DYNAMIC_DISPATCH(MultiplyRow)
      (f, from, g.stride_width * g.channels, (n * g.out_height() + p) * g.out_width() + q, count, out);
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
