// How kernels of splines cut a matrix [rows, channels], and what they know of the grid.

#ifndef BITGRAD_OPS_CPU_SPLINE_TILES_H_
#define BITGRAD_OPS_CPU_SPLINE_TILES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/kernels/spline_grid.h"

namespace bitgrad::cpu {

// A grid, as loops that are compiled for each instruction set want it.
struct SplineConstants {
  float inverse_step, middle, last_interval;
};

inline SplineConstants ConstantsOf(const SplineGrid& grid) {
  return {grid.inverse_step(), static_cast<float>(grid.knots / 2), static_cast<float>(grid.knots - 2)};
}

// Some rows and columns of a contiguous matrix, or all of some rows joined: `repeats` runs of `count` elements,
// `stride` apart, with the place of each of a run's elements' table behind the first column's.
struct SplineTile {
  const int32_t* offsets;
  int64_t count, repeats, stride;
};

// Columns are cut into tiles whose tables fit into the first cache. Where those of all channels do, rows are joined, so
// that a run is worth its loops.
class SplineTiles {
 public:
  // distance: of the tables of two channels. widest: of a tile, at least 16. Every `copies` rows have tables of their
  // own, which follow each other; more than one only where a tile has all channels.
  SplineTiles(int64_t channels, int64_t distance, int64_t widest, int64_t copies)
      : channels_(channels),
        width_(std::min(channels, std::max<int64_t>(16, widest / 16 * 16))),
        joined_(width_ < channels ? 1 : std::max<int64_t>(1, kRun / (copies * channels)) * copies),
        offsets_(static_cast<size_t>(joined_ * width_)) {
    for (size_t e = 0; e < offsets_.size(); ++e) {
      offsets_[e] = static_cast<int32_t>(static_cast<int64_t>(e) % (copies * channels) * distance);
    }
  }
  int64_t width() const { return width_; }

  // Calls body(tile, its first element) on tiles that cover the rows [begin, end) of the columns from `column` on that
  // belong together: `width` of them, or what is left.
  template <typename Body>
  void ForEach(int64_t column, int64_t begin, int64_t end, const Body& body) const {
    const int64_t whole = (end - begin) / joined_, rest = (end - begin) % joined_;
    const int64_t width = std::min(width_, channels_ - column);
    if (whole > 0) {
      body(SplineTile{offsets_.data(), joined_ * width, whole, joined_ * channels_}, begin * channels_ + column);
    }
    if (rest > 0) body(SplineTile{offsets_.data(), rest * channels_, 1, 0}, (end - rest) * channels_);
  }

 private:
  static constexpr int64_t kRun = 512;
  const int64_t channels_, width_, joined_;
  std::vector<int32_t> offsets_;
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_SPLINE_TILES_H_
