#include "bitgrad/ops/cpu/spline.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bitgrad/ops/cpu/segments.h"

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

HWY_INLINE V Rise(const float* coefficients, VI offset) {
  const D d;
  return hn::Sub(hn::GatherIndex(d, coefficients + 1, offset), hn::GatherIndex(d, coefficients, offset));
}

// The same for one element, of what no whole vector is left: the same bits.
HWY_INLINE float Locate(float x, const SplineConstants& k, int32_t& interval) {
  const float p = x * k.inverse_step + k.middle;
  const float from_left = p > 0.0f ? p : 0.0f;
  interval = static_cast<int32_t>(from_left < k.last_interval ? from_left : k.last_interval);
  return p - static_cast<float>(interval);
}

HWY_INLINE float Rise(const float* coefficients, int32_t offset) {
  return coefficients[offset + 1] - coefficients[offset];
}

void ForwardPiece(const SplineConstants& k, const SplinePiece& piece, const float* x, const float* coefficients,
                  float* y, uint8_t* intervals) {
  const D d;
  const DI di;
  const hn::Rebind<uint8_t, D> d8;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= piece.count; i += lanes) {
    VI interval;
    const V t = Locate(hn::LoadU(d, x + i), k, interval);
    const VI offset = hn::Add(interval, hn::LoadU(di, piece.offsets + i));
    const V left = hn::GatherIndex(d, coefficients, offset);
    const V right = hn::GatherIndex(d, coefficients + 1, offset);
    hn::StoreU(hn::Add(left, hn::Mul(t, hn::Sub(right, left))), d, y + i);
    if (intervals != nullptr) hn::StoreU(hn::DemoteTo(d8, interval), d8, intervals + i);
  }
  for (; i < piece.count; ++i) {
    int32_t interval;
    const float t = Locate(x[i], k, interval);
    const int32_t offset = piece.offsets[i] + interval;
    y[i] = coefficients[offset] + t * Rise(coefficients, offset);
    if (intervals != nullptr) intervals[i] = static_cast<uint8_t>(interval);
  }
}

// Two numbers that are added at a time: the sums of dy and of dy t over one interval.
using Pair = float __attribute__((vector_size(8)));

// Adds the piece's part to sums [copies, channels * knots]; element e of the piece goes to copy e % copies, so that
// neighbours that are in the same interval do not wait for each other.
void BackwardPiece(const SplineConstants& k, const SplinePiece& piece, const float* x, const float* coefficients,
                   const float* dy, float* dx, Pair* sums, int64_t table, int64_t copies) {
  const D d;
  const DI di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int64_t kStrip = 512;
  HWY_ALIGN int32_t slot[kStrip];
  HWY_ALIGN float terms[2 * kStrip];
  const V inverse_step = hn::Set(d, k.inverse_step);
  for (int64_t begin = 0; begin < piece.count; begin += kStrip) {
    const int64_t size = std::min(kStrip, piece.count - begin);
    const int32_t* const offsets = piece.offsets + begin;
    int64_t i = 0;
    for (; i + lanes <= size; i += lanes) {
      VI interval;
      const V t = Locate(hn::LoadU(d, x + begin + i), k, interval);
      const VI offset = hn::Add(interval, hn::LoadU(di, offsets + i));
      const V g = hn::LoadU(d, dy + begin + i);
      hn::StoreU(offset, di, slot + i);
      hn::StoreInterleaved2(g, hn::Mul(g, t), d, terms + 2 * i);
      if (dx != nullptr) {
        hn::StoreU(hn::Mul(g, hn::Mul(Rise(coefficients, offset), inverse_step)), d, dx + begin + i);
      }
    }
    for (; i < size; ++i) {
      int32_t interval;
      const float t = Locate(x[begin + i], k, interval);
      const float g = dy[begin + i];
      slot[i] = offsets[i] + interval;
      terms[2 * i] = g;
      terms[2 * i + 1] = g * t;
      if (dx != nullptr) dx[begin + i] = g * (Rise(coefficients, slot[i]) * k.inverse_step);
    }
    Pair pair;
    const auto add = [&](Pair& sum, int64_t e) {
      std::memcpy(&pair, terms + 2 * e, sizeof(Pair));
      sum += pair;
    };
    i = 0;
    if (copies == 4) {
      for (; i + 4 <= size; i += 4) {
        for (int64_t c = 0; c < 4; ++c) add(sums[c * table + slot[i + c]], i + c);
      }
    }
    for (; i < size; ++i) add(sums[slot[i]], i);
  }
}

void BackwardInputPiece(const SplineConstants& k, const SplinePiece& piece, const uint8_t* intervals,
                        const float* coefficients, const float* dy, float* dx) {
  for (int64_t i = 0; i < piece.count; ++i) {
    dx[i] = dy[i] * (Rise(coefficients, piece.offsets[i] + intervals[i]) * k.inverse_step);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(ForwardPiece);
HWY_EXPORT(BackwardPiece);
HWY_EXPORT(BackwardInputPiece);

SplineConstants ConstantsOf(const SplineGrid& grid) {
  return {grid.inverse_step(), static_cast<float>(grid.knots / 2), static_cast<float>(grid.knots - 2)};
}

// The table offsets of the elements of some rows, as many as make a piece that is worth a call.
class Offsets {
 public:
  Offsets(int64_t knots, int64_t rows, int64_t channels)
      : rows_(std::min(rows, std::max<int64_t>(1, 1024 / channels))), channels_(channels), offsets_(rows_ * channels) {
    for (size_t e = 0; e < offsets_.size(); ++e) {
      offsets_[e] = static_cast<int32_t>(static_cast<int64_t>(e) % channels * knots);
    }
  }
  // Calls body(piece, first element) on pieces that cover the rows [begin, end).
  template <typename Body>
  void ForEachPiece(int64_t begin, int64_t end, const Body& body) const {
    for (int64_t row = begin; row < end; row += rows_) {
      body(SplinePiece{offsets_.data(), std::min(rows_, end - row) * channels_}, row * channels_);
    }
  }

 private:
  const int64_t rows_, channels_;
  std::vector<int32_t> offsets_;
};

// Two floats, as BackwardPiece adds them.
using Pair = float __attribute__((vector_size(8)));

}  // namespace

void SplineForward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                   float* y, uint8_t* intervals) {
  if (x.size() == 0) return;
  const SplineConstants constants = ConstantsOf(grid);
  const Offsets offsets(grid.knots, x.rows, x.cols);
  ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
    offsets.ForEachPiece(begin, end, [&](const SplinePiece& piece, int64_t first) {
      HWY_DYNAMIC_DISPATCH(ForwardPiece)
      (constants, piece, x.data + first, coefficients, y + first, intervals == nullptr ? nullptr : intervals + first);
    });
  });
}

void SplineBackward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                    const float* dy, float* dx, float* dc) {
  const int64_t knots = grid.knots, table = x.cols * knots;
  std::fill_n(dc, table, 0.0f);
  if (x.size() == 0) return;
  const SplineConstants constants = ConstantsOf(grid);
  const Offsets offsets(knots, x.rows, x.cols);
  // A block has enough rows that adding up its tables is little work beside filling them.
  constexpr int64_t kBlockElements = 32768, kMostBlocks = 32;
  const int64_t block_rows = std::max(
      {(kBlockElements + x.cols - 1) / x.cols, 2 * knots, (x.rows + kMostBlocks - 1) / kMostBlocks, int64_t{1}});
  const int64_t blocks = (x.rows + block_rows - 1) / block_rows;
  const int64_t copies = x.cols < 16 ? 4 : 1;
  std::vector<Pair> sums(static_cast<size_t>(blocks * copies * table), Pair{0, 0});
  ParallelForBlocks(context.threads(), x.rows, block_rows, [&](int64_t block, int64_t begin, int64_t end) {
    Pair* const own = sums.data() + block * copies * table;
    offsets.ForEachPiece(begin, end, [&](const SplinePiece& piece, int64_t first) {
      HWY_DYNAMIC_DISPATCH(BackwardPiece)
      (constants, piece, x.data + first, coefficients, dy + first, dx == nullptr ? nullptr : dx + first, own, table,
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
          const Pair pair = sums[static_cast<size_t>(part * table + i)];
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
  const Offsets offsets(grid.knots, rows, channels);
  ParallelFor(context.threads(), rows, RowGrain(channels), [&](int64_t begin, int64_t end) {
    offsets.ForEachPiece(begin, end, [&](const SplinePiece& piece, int64_t first) {
      HWY_DYNAMIC_DISPATCH(BackwardInputPiece)
      (constants, piece, intervals + first, coefficients, dy + first, dx + first);
    });
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
