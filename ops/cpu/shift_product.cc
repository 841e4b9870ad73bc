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
#include "bitgrad/ops/cpu/shift_product_cpu.h"
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
HWY_NOINLINE void ShiftTile(const uint8_t* x, int64_t stride, const ShiftFilters& f, const int32_t* panel,
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

using ShiftTileFunction = void(const uint8_t*, int64_t, const ShiftFilters&, const int32_t*, int32_t*);

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
HWY_INLINE void Write(const ShiftFilters& f, const ShiftFilters::Panel& panel, const ShiftOutput& out, int64_t first,
                      int64_t rows, const int32_t* sums) {
  const LaneTag d;
  const hn::Rebind<uint8_t, LaneTag> d8;
  const hn::RebindToFloat<LaneTag> df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = f.geometry.filters;
  const auto least = hn::Set(d, out.least), most = hn::Set(d, out.most);
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
void MultiplyRow(const ShiftFilters& f, const uint8_t* x, int64_t stride, int64_t first, int64_t count,
                 const ShiftOutput& out) {
  alignas(64) int32_t sums[kMostPixels * 4 * 16];
  for (const ShiftFilters::Panel& panel : f.panels) {
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

// Rows of a linear layer that are multiplied together, and what batches of it are taken for beforehand.
constexpr int64_t kLinearRows = 96;
// Reads of four bytes may go beyond an image by three.
constexpr int64_t kSlack = 64;

}  // namespace

PanelSizes ShiftPanelSizes() {
  PanelSizes sizes;
  HWY_DYNAMIC_DISPATCH(PanelLimits)(&sizes.lanes, &sizes.vectors);
  return sizes;
}

void ShiftProduct(ExecContext& context, const ShiftFilters& filters, int64_t batch, const uint8_t* x,
                  const ShiftOutput& out) {
  const ShiftFilters& f = filters;
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
  const int64_t pieces = f.is_linear ? (g.out_width() + kLinearRows - 1) / kLinearRows : 1;
  const int64_t rows = batch * g.out_height() * pieces;
  const int64_t row_macs = std::max<int64_t>(1, g.macs() / g.pixels() * g.out_width() / pieces);
  const int64_t grain = std::max<int64_t>(1, kInt8Grain / row_macs);
  ParallelFor(context.threads(), rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / pieces / g.out_height(), p = i / pieces % g.out_height(), piece = i % pieces;
      const int64_t q = piece * kLinearRows;
      const int64_t count = f.is_linear ? std::min(kLinearRows, g.out_width() - q) : g.out_width();
      const uint8_t* const from = x + n * padded + (p * g.stride_height * width + q) * g.channels;
      HWY_DYNAMIC_DISPATCH(MultiplyRow)
      (f, from, g.stride_width * g.channels, (n * g.out_height() + p) * g.out_width() + q, count, out);
    }
  });
}

}  // namespace bitgrad::cpu

namespace bitgrad {
namespace {

// The cycles of a step of a tile, roughly: the products, their latency, and the loads of weights from the second-level
// cache.
double StepCycles(int64_t rows, int64_t vectors) {
  return std::max({0.5 * static_cast<double>(rows * vectors), 5.0, 2.0 * static_cast<double>(vectors)});
}

double RowCycles(int64_t pixels, int64_t filters, int64_t lanes, int64_t vectors) {
  const int64_t most = vectors <= 2 ? 12 : vectors == 3 ? 8 : 6;
  double cycles = 0;
  for (int64_t left = (filters + lanes - 1) / lanes; left > 0; left -= vectors) {
    for (int64_t q = 0; q < pixels; q += most) {
      cycles += StepCycles(std::min(most, pixels - q), std::min(left, vectors));
    }
  }
  return cycles;
}

}  // namespace

ShiftFilters::ShiftFilters(const ConvGeometry& geometry, ConstMatrixView<int8_t> w, int32_t x_least,
                           absl::Span<const int32_t> bias, absl::Span<const uint8_t> flips, int levels)
    : geometry(geometry) {
  Arrange(w, x_least, bias, flips, levels);
}

ShiftFilters::ShiftFilters(ConstMatrixView<int8_t> w, int32_t x_least, absl::Span<const int32_t> bias,
                           absl::Span<const uint8_t> flips, int levels)
    : geometry({.batch = 1,
                .height = 1,
                .width = cpu::kLinearRows,
                .channels = w.cols,
                .filters = w.rows,
                .kernel_height = 1,
                .kernel_width = 1}),
      is_linear(true) {
  Arrange(w, x_least, bias, flips, levels);
}

void ShiftFilters::Arrange(ConstMatrixView<int8_t> w, int32_t x_least, absl::Span<const int32_t> bias,
                           absl::Span<const uint8_t> flip, int levels) {
  const ConvGeometry& g = geometry;
  BITGRAD_DCHECK(w.rows == g.filters && w.cols == g.patch_size() && g.padding == Padding::kZero);
  border = static_cast<uint8_t>(-x_least);
  // A row of a patch is one run where its taps lie side by side.
  const bool is_run = g.groups == 1 && g.dilation_width == 1;
  const int64_t width = g.width + 2 * g.pad_width, runs = is_run ? 1 : g.kernel_width;
  segment_size = g.group_channels() * (is_run ? g.kernel_width : 1);
  steps = (segment_size + 3) / 4;
  for (int64_t r = 0; r < g.kernel_height; ++r) {
    for (int64_t s = 0; s < runs; ++s) {
      segments.push_back((r * g.dilation_height * width + s * g.dilation_width) * g.channels);
    }
  }

  const cpu::PanelSizes sizes = cpu::ShiftPanelSizes();
  const int64_t lanes = sizes.lanes, group_filters = g.group_filters();
  int64_t best = 1;
  for (int64_t v = 2; v <= sizes.vectors; ++v) {
    if (RowCycles(g.out_width(), group_filters, lanes, v) < RowCycles(g.out_width(), group_filters, lanes, best)) {
      best = v;
    }
  }
  int64_t offset = 0, term = 0;
  const int64_t all_steps = steps * static_cast<int64_t>(segments.size());
  for (int64_t group = 0; group < g.groups; ++group) {
    for (int64_t o = 0; o < group_filters; o += best * lanes) {
      const int64_t count = std::min(best * lanes, group_filters - o);
      const int64_t vectors = (count + lanes - 1) / lanes;
      panels.push_back({group, group * group_filters + o, count, static_cast<int>(vectors), offset, term});
      offset += all_steps * vectors * lanes;
      term += vectors * lanes;
    }
  }
  weights = Tensor::Zeros({offset}, DType::kInt32);
  terms = Tensor::Zeros({term}, DType::kInt32);
  if (!flip.empty()) flips.assign(static_cast<size_t>(term) + 64, 0);
  for (const Panel& panel : panels) {
    auto* const bytes = reinterpret_cast<int8_t*>(weights.mutable_data<int32_t>() + panel.offset);
    const int64_t columns = panel.vectors * lanes;
    for (int64_t j = 0; j < panel.filters; ++j) {
      const int8_t* const from = w.row(panel.first + j);
      int64_t sum = 0;
      for (int64_t k = 0; k < w.cols; ++k) {
        const int64_t segment = k / segment_size, place = k % segment_size;
        bytes[((segment * steps + place / 4) * columns + j) * 4 + place % 4] = from[k];
        sum += from[k];
      }
      const int32_t added = bias.empty() ? 0 : bias[panel.first + j];
      terms.mutable_data<int32_t>()[panel.terms + j] = static_cast<int32_t>(added + x_least * sum);
      if (!flip.empty() && flip[panel.first + j] != 0) flips[panel.terms + j] = static_cast<uint8_t>(levels);
    }
  }
}

}  // namespace bitgrad

#endif  // HWY_ONCE
