#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/cpu/spline_tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/spline_forward.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/spline_places-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// Two neighbours of a table, which are loaded at a time. On many processors a gather is a good deal slower.
constexpr size_t kPairBytes = 2 * sizeof(float);
constexpr int64_t kStrip = 512;

// Of the elements of a strip: where they are in the table, and how far into their intervals.
struct Places {
  HWY_ALIGN int32_t slot[kStrip];
  HWY_ALIGN float t[kStrip];
};

HWY_INLINE void LocateStrip(const SplineConstants& k, const int32_t* offsets, const float* x, int64_t size,
                            Places& places, uint8_t* intervals) {
  const D d;
  const DI di;
  const hn::Rebind<uint8_t, D> d8;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    VI interval;
    hn::StoreU(Locate(hn::LoadU(d, x + i), k, interval), d, places.t + i);
    hn::StoreU(hn::Add(interval, hn::LoadU(di, offsets + i)), di, places.slot + i);
    if (intervals != nullptr) hn::StoreU(hn::DemoteTo(d8, interval), d8, intervals + i);
  }
  for (; i < size; ++i) {
    int32_t interval;
    places.t[i] = Locate(x[i], k, interval);
    places.slot[i] = offsets[i] + interval;
    if (intervals != nullptr) intervals[i] = static_cast<uint8_t>(interval);
  }
}

// y may be x.
HWY_INLINE void ForwardStrip(const SplineConstants& k, const int32_t* offsets, const float* x, int64_t size,
                             const float* coefficients, float* y, uint8_t* intervals) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  Places places;
  HWY_ALIGN float ends[2 * kStrip];
  LocateStrip(k, offsets, x, size, places, intervals);
  for (int64_t i = 0; i < size; ++i) std::memcpy(ends + 2 * i, coefficients + places.slot[i], kPairBytes);
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    V left, right;
    hn::LoadInterleaved2(d, ends + 2 * i, left, right);
    hn::StoreU(hn::Add(left, hn::Mul(hn::LoadU(d, places.t + i), hn::Sub(right, left))), d, y + i);
  }
  for (; i < size; ++i) y[i] = ends[2 * i] + places.t[i] * (ends[2 * i + 1] - ends[2 * i]);
}

void ForwardTile(const SplineConstants& k, const SplineTile& tile, const float* x, const float* coefficients, float* y,
                 uint8_t* intervals) {
  for (int64_t row = 0; row < tile.repeats; ++row) {
    for (int64_t begin = 0; begin < tile.count; begin += kStrip) {
      const int64_t at = row * tile.stride + begin;
      ForwardStrip(k, tile.offsets + begin, x + at, std::min(kStrip, tile.count - begin), coefficients, y + at,
                   intervals == nullptr ? nullptr : intervals + at);
    }
  }
}

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86

constexpr int64_t kLanes = 16, kMostKnots = 2 * kLanes + 1;

// Whether two registers hold all coefficients at the left, or right, ends of intervals.
bool FitsRegisters(int64_t knots) { return knots <= kMostKnots; }

// Two blocks of a, then two of b. (The form without a mask makes g++ 12 warn of what is not initialized.)
template <int kBlocks>
HWY_INLINE V Blocks(V a, V b) {
  return V{_mm512_maskz_shuffle_f32x4(0xffff, a.raw, b.raw, kBlocks)};
}

// lane k of v[j] -> lane j of v[k]
HWY_INLINE void Transpose(V (&v)[kLanes]) {
  const D d;
  const hn::Repartition<double, D> pairs;
  V quads[kLanes];  // [4 g + k]: in block b, lanes 4 b + k of v[4 g] .. v[4 g + 3]
  for (int g = 0; g < kLanes; g += 4) {
    const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, v[g], v[g + 1]));
    const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, v[g + 2], v[g + 3]));
    const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, v[g], v[g + 1]));
    const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, v[g + 2], v[g + 3]));
    quads[g] = hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23));
    quads[g + 1] = hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23));
    quads[g + 2] = hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23));
    quads[g + 3] = hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23));
  }
  constexpr int kEven = 0x88, kOdd = 0xdd;  // of blocks: 0 and 2, and 1 and 3, of both operands
  for (int k = 0; k < 4; ++k) {
    const V even01 = Blocks<kEven>(quads[k], quads[4 + k]), odd01 = Blocks<kOdd>(quads[k], quads[4 + k]);
    const V even23 = Blocks<kEven>(quads[8 + k], quads[12 + k]), odd23 = Blocks<kOdd>(quads[8 + k], quads[12 + k]);
    v[k] = Blocks<kEven>(even01, even23);
    v[4 + k] = Blocks<kEven>(odd01, odd23);
    v[8 + k] = Blocks<kOdd>(even01, even23);
    v[12 + k] = Blocks<kOdd>(odd01, odd23);
  }
}

// table[index], for indices below 32; table has `size` floats.
HWY_INLINE V LookUp(const float* table, int64_t size, VI index) {
  const D d;
  const V low = hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(size)), d, table);
  const V high = hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(std::max<int64_t>(0, size - kLanes))), d,
                                table + std::min(size, kLanes));
  return V{_mm512_permutex2var_ps(low.raw, index.raw, high.raw)};
}

// Of [rows, columns], 16 rows and 16 columns at a time: transposed, so that a vector has elements of one channel, which
// is column % channels.
void ForwardColumns(const SplineConstants& k, int64_t knots, int64_t channels, int64_t rows, int64_t columns,
                    const float* x, const float* coefficients, float* y) {
  const D d;
  for (int64_t row = 0; row < rows; row += kLanes) {
    const int64_t own_rows = std::min(kLanes, rows - row);
    int64_t channel = 0;
    for (int64_t column = 0; column < columns; column += kLanes) {
      const auto own_columns = hn::FirstN(d, static_cast<size_t>(columns - column));
      const int64_t at = row * columns + column;
      V v[kLanes];
      if (own_rows == kLanes) {
        for (int64_t j = 0; j < kLanes; ++j) v[j] = hn::MaskedLoad(own_columns, d, x + at + j * columns);
      } else {
        for (int64_t j = 0; j < kLanes; ++j) {
          v[j] = j < own_rows ? hn::MaskedLoad(own_columns, d, x + at + j * columns) : hn::Zero(d);
        }
      }
      Transpose(v);
      for (int64_t j = 0; j < kLanes; ++j) {
        const float* const own = coefficients + channel * knots;
        VI interval;
        const V t = Locate(v[j], k, interval);
        const V left = LookUp(own, knots - 1, interval), right = LookUp(own + 1, knots - 1, interval);
        v[j] = hn::Add(left, hn::Mul(t, hn::Sub(right, left)));
        if (++channel == channels) channel = 0;
      }
      Transpose(v);
      for (int64_t j = 0; j < own_rows; ++j) hn::BlendedStore(v[j], own_columns, d, y + at + j * columns);
    }
  }
}

#else

bool FitsRegisters(int64_t) { return false; }
void ForwardColumns(const SplineConstants&, int64_t, int64_t, int64_t, int64_t, const float*, const float*, float*) {}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(ForwardTile);
HWY_EXPORT(FitsRegisters);
HWY_EXPORT(ForwardColumns);

// Floats of the coefficients that stay in the first cache.
constexpr int64_t kTableFloats = 2048;

}  // namespace

void SplineForward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                   float* y, uint8_t* intervals) {
  if (x.size() == 0) return;
  const SplineConstants constants = ConstantsOf(grid);
  const int64_t knots = grid.knots, channels = x.cols;
  // Rows of few channels are joined so that they fill whole vectors. Intervals are wanted in the order of x.
  const int64_t joined = channels < 16 ? 16 / std::gcd(channels, int64_t{16}) : 1;
  const bool fits_registers = intervals == nullptr && HWY_DYNAMIC_DISPATCH(FitsRegisters)(knots);
  const SplineTiles tiles(channels, knots, kTableFloats / knots, /*copies=*/1);
  ParallelFor(context.threads(), x.rows, RowGrain(channels), [&](int64_t begin, int64_t end) {
    if (fits_registers) {
      const int64_t rows = (end - begin) / joined;
      HWY_DYNAMIC_DISPATCH(ForwardColumns)
      (constants, knots, channels, rows, joined * channels, x.data + begin * channels, coefficients,
       y + begin * channels);
      begin += rows * joined;
    }
    for (int64_t column = 0; column < channels; column += tiles.width()) {
      tiles.ForEach(column, begin, end, [&](const SplineTile& tile, int64_t first) {
        HWY_DYNAMIC_DISPATCH(ForwardTile)
        (constants, tile, x.data + first, coefficients + column * knots, y + first,
         intervals == nullptr ? nullptr : intervals + first);
      });
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
