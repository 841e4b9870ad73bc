// The values of linear splines (ops/kernels/spline.h).

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/cpu/spline_tile.h"
#include "bitgrad/ops/kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/spline.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<DI>;

// Where x lies: its interval, and how far into it. NaN is no interval's, and has to have an index all the same.
HWY_INLINE V Locate(V x, const SplineConstants& k, VI& interval) {
  const D d;
  const V p = hn::Add(hn::Mul(x, hn::Set(d, k.inverse_step)), hn::Set(d, k.middle));
  const V from_left = hn::IfThenElseZero(hn::Gt(p, hn::Zero(d)), p);
  interval = hn::ConvertTo(DI(), hn::Min(from_left, hn::Set(d, k.last_interval)));
  return hn::Sub(p, hn::ConvertTo(d, interval));
}

// The same for one element, of what no whole vector is left: the same bits.
HWY_INLINE float Locate(float x, const SplineConstants& k, int32_t& interval) {
  const float p = x * k.inverse_step + k.middle;
  const float from_left = p > 0.0f ? p : 0.0f;
  interval = static_cast<int32_t>(from_left < k.last_interval ? from_left : k.last_interval);
  return p - static_cast<float>(interval);
}

// Two neighbours of a table, which are loaded, and added to, at a time. A gather is no faster than one load of both for
// each element, and on many processors a good deal slower.
using Pair = float __attribute__((vector_size(8)));

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
  for (int64_t i = 0; i < size; ++i) std::memcpy(ends + 2 * i, coefficients + places.slot[i], sizeof(Pair));
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    V left, right;
    hn::LoadInterleaved2(d, ends + 2 * i, left, right);
    hn::StoreU(hn::Add(left, hn::Mul(hn::LoadU(d, places.t + i), hn::Sub(right, left))), d, y + i);
  }
  for (; i < size; ++i) y[i] = ends[2 * i] + places.t[i] * (ends[2 * i + 1] - ends[2 * i]);
}

HWY_INLINE void BackwardStrip(const SplineConstants& k, const int32_t* offsets, const float* x, int64_t size,
                              const float* coefficients, const float* dy, float* dx, Pair* sums, int64_t table,
                              int64_t copies) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  Places places;
  // First the terms dy and dy t, then the coefficients at both ends of the interval.
  HWY_ALIGN float pairs[2 * kStrip];
  LocateStrip(k, offsets, x, size, places, nullptr);
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const V g = hn::LoadU(d, dy + i);
    hn::StoreInterleaved2(g, hn::Mul(g, hn::LoadU(d, places.t + i)), d, pairs + 2 * i);
  }
  for (; i < size; ++i) {
    pairs[2 * i] = dy[i];
    pairs[2 * i + 1] = dy[i] * places.t[i];
  }
  const auto add = [&](Pair* to, int64_t e) {
    Pair pair;
    std::memcpy(&pair, pairs + 2 * e, sizeof(Pair));
    to[places.slot[e]] += pair;
    std::memcpy(pairs + 2 * e, coefficients + places.slot[e], sizeof(Pair));
  };
  i = 0;
  if (copies == 4) {
    for (; i + 4 <= size; i += 4) {
      for (int64_t c = 0; c < 4; ++c) add(sums + c * table, i + c);
    }
  }
  for (; i < size; ++i) add(sums, i);
  if (dx == nullptr) return;
  const V inverse_step = hn::Set(d, k.inverse_step);
  for (i = 0; i + lanes <= size; i += lanes) {
    V left, right;
    hn::LoadInterleaved2(d, pairs + 2 * i, left, right);
    hn::StoreU(hn::Mul(hn::LoadU(d, dy + i), hn::Mul(hn::Sub(right, left), inverse_step)), d, dx + i);
  }
  for (; i < size; ++i) dx[i] = dy[i] * ((pairs[2 * i + 1] - pairs[2 * i]) * k.inverse_step);
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

// Adds the tile's part to sums [copies, channels * knots]; element e of a strip goes to copy e % copies, so that
// neighbours that are in the same interval do not wait for each other.
void BackwardTile(const SplineConstants& k, const SplineTile& tile, const float* x, const float* coefficients,
                  const float* dy, float* dx, Pair* sums, int64_t table, int64_t copies) {
  for (int64_t row = 0; row < tile.repeats; ++row) {
    for (int64_t begin = 0; begin < tile.count; begin += kStrip) {
      const int64_t at = row * tile.stride + begin;
      BackwardStrip(k, tile.offsets + begin, x + at, std::min(kStrip, tile.count - begin), coefficients, dy + at,
                    dx == nullptr ? nullptr : dx + at, sums, table, copies);
    }
  }
}

void BackwardInputTile(const SplineConstants& k, const SplineTile& tile, const uint8_t* intervals,
                       const float* coefficients, const float* dy, float* dx) {
  for (int64_t row = 0; row < tile.repeats; ++row) {
    for (int64_t e = 0; e < tile.count; ++e) {
      const int64_t i = row * tile.stride + e;
      const float* const ends = coefficients + tile.offsets[e] + intervals[i];
      dx[i] = dy[i] * ((ends[1] - ends[0]) * k.inverse_step);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(ForwardTile);
HWY_EXPORT(BackwardTile);
HWY_EXPORT(BackwardInputTile);

SplineConstants ConstantsOf(const SplineGrid& grid) {
  return {grid.inverse_step(), static_cast<float>(grid.knots / 2), static_cast<float>(grid.knots - 2)};
}

// How a matrix is cut: into tiles whose tables, of coefficients and of sums, fit into the first cache. Where the tables
// of all channels do, rows are joined, so that a run is worth its loops.
class Tiles {
 public:
  Tiles(int64_t knots, int64_t channels)
      : channels_(channels),
        width_(std::min(channels, std::max<int64_t>(16, kEntries / knots / 16 * 16))),
        joined_(width_ < channels ? 1 : std::max<int64_t>(1, kRun / channels)),
        offsets_(static_cast<size_t>(joined_ * channels)) {
    for (size_t e = 0; e < offsets_.size(); ++e) {
      offsets_[e] = static_cast<int32_t>(static_cast<int64_t>(e) % channels * knots);
    }
  }
  // Calls body(tile, its first element) on tiles that cover the rows [begin, end).
  template <typename Body>
  void ForEach(int64_t begin, int64_t end, const Body& body) const {
    const int64_t whole = (end - begin) / joined_, rest = (end - begin) % joined_;
    for (int64_t column = 0; column < channels_; column += width_) {
      const int64_t width = std::min(width_, channels_ - column);
      body(SplineTile{offsets_.data() + column, joined_ * width, whole, joined_ * channels_},
           begin * channels_ + column);
    }
    if (rest > 0) body(SplineTile{offsets_.data(), rest * channels_, 1, 0}, (end - rest) * channels_);
  }

 private:
  static constexpr int64_t kEntries = 2048, kRun = 512;
  const int64_t channels_, width_, joined_;
  std::vector<int32_t> offsets_;
};

// Two floats, as BackwardTile adds them.
using Pair = float __attribute__((vector_size(8)));

}  // namespace

void SplineForward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                   float* y, uint8_t* intervals) {
  if (x.size() == 0) return;
  const SplineConstants constants = ConstantsOf(grid);
  const Tiles tiles(grid.knots, x.cols);
  ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
    tiles.ForEach(begin, end, [&](const SplineTile& tile, int64_t first) {
      HWY_DYNAMIC_DISPATCH(ForwardTile)
      (constants, tile, x.data + first, coefficients, y + first, intervals == nullptr ? nullptr : intervals + first);
    });
  });
}

void SplineBackward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                    const float* dy, float* dx, float* dc) {
  const int64_t knots = grid.knots, table = x.cols * knots;
  std::fill_n(dc, table, 0.0f);
  if (x.size() == 0) return;
  const SplineConstants constants = ConstantsOf(grid);
  const Tiles tiles(knots, x.cols);
  // A block has enough rows that adding up its tables is little work beside filling them.
  constexpr int64_t kBlockElements = 32768, kMostBlocks = 32;
  const int64_t block_rows = std::max(
      {(kBlockElements + x.cols - 1) / x.cols, 8 * knots, (x.rows + kMostBlocks - 1) / kMostBlocks, int64_t{1}});
  const int64_t blocks = (x.rows + block_rows - 1) / block_rows;
  const int64_t copies = x.cols < 16 ? 4 : 1;
  const Scratch<Pair> sums(context, blocks * copies * table);
  ParallelForBlocks(context.threads(), x.rows, block_rows, [&](int64_t block, int64_t begin, int64_t end) {
    Pair* const own = sums.data() + block * copies * table;
    std::fill_n(own, copies * table, Pair{0, 0});
    tiles.ForEach(begin, end, [&](const SplineTile& tile, int64_t first) {
      HWY_DYNAMIC_DISPATCH(BackwardTile)
      (constants, tile, x.data + first, coefficients, dy + first, dx == nullptr ? nullptr : dx + first, own, table,
       copies);
    });
  });
  // dc_i = sum of dy (1 - t) over interval i + sum of dy t over interval i - 1.
  ParallelFor(context.threads(), x.cols, RowGrain(blocks * copies * knots), [&](int64_t begin, int64_t end) {
    for (int64_t channel = begin; channel < end; ++channel) {
      double from_left = 0;
      for (int64_t i = channel * knots; i < (channel + 1) * knots; ++i) {
        double g = 0, gt = 0;
        for (int64_t part = 0; part < blocks * copies; ++part) {
          const Pair pair = sums.data()[part * table + i];
          g += pair[0];
          gt += pair[1];
        }
        dc[i] = static_cast<float>(g - gt + from_left);
        from_left = gt;
      }
    }
  });
}

void SplineBackwardInput(ExecContext& context, const SplineGrid& grid, int64_t rows, int64_t channels,
                         const uint8_t* intervals, const float* coefficients, const float* dy, float* dx) {
  if (rows * channels == 0) return;
  const SplineConstants constants = ConstantsOf(grid);
  const Tiles tiles(grid.knots, channels);
  ParallelFor(context.threads(), rows, RowGrain(channels), [&](int64_t begin, int64_t end) {
    tiles.ForEach(begin, end, [&](const SplineTile& tile, int64_t first) {
      HWY_DYNAMIC_DISPATCH(BackwardInputTile)
      (constants, tile, intervals + first, coefficients, dy + first, dx + first);
    });
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
