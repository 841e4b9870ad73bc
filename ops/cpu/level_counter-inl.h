// LevelCounter: from dot products to codes, by counting the thresholds that a sum reaches (DotOutput::codes). Included
// through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_LEVEL_COUNTER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_LEVEL_COUNTER_INL_H_
#undef BITGRAD_OPS_CPU_LEVEL_COUNTER_INL_H_
#else
#define BITGRAD_OPS_CPU_LEVEL_COUNTER_INL_H_
#endif

#include <cstdint>

#include "bitgrad/ops/kernels/coded_gemm.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Compares vectors of adjacent outputs with one level after the other: two instructions per level and vector on
// AVX-512. Thresholds are read where the caller has them; those of a group of columns stay in the first-level cache.
class LevelCounter {
 public:
  explicit LevelCounter(const DotOutput& out)
      : threshold_(out.threshold),
        stride_(out.level_stride != 0 ? out.level_stride : out.codes.cols),
        flip_(out.flip),
        levels_(out.levels) {}

  // Writes the codes of columns [first, first + cols) to y, a row of codes. dots(d, j) gives the vector of dot products
  // that begins at column first + j, where lanes after the last column are ignored.
  template <typename Dots>
  HWY_INLINE void Write(int64_t first, int64_t cols, uint8_t* y, const Dots& dots) const {
    const Tag d;
    const hn::Rebind<uint8_t, Tag> d8;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    const auto one = hn::Set(d, 1);
    const auto levels = hn::Set(d8, static_cast<uint8_t>(levels_));
    int64_t j = 0;
    for (; j + lanes <= cols; j += lanes) {
      const auto dot = dots(d, j);
      const int32_t* threshold = threshold_ + first + j;
      auto below = hn::Zero(d);
      for (int l = 0; l < levels_; ++l, threshold += stride_) {
        below = hn::IfThenElse(hn::Lt(dot, hn::LoadU(d, threshold)), hn::Add(below, one), below);
      }
      const auto missed = hn::DemoteTo(d8, below);
      const auto keeps = hn::Eq(hn::LoadU(d8, flip_ + first + j), hn::Zero(d8));
      hn::StoreU(hn::IfThenElse(keeps, hn::Sub(levels, missed), missed), d8, y + first + j);
    }
    if (j == cols) return;
    alignas(64) int32_t rest[hn::MaxLanes(Tag())];
    hn::Store(dots(d, j), d, rest);
    for (int64_t lane = 0; j < cols; ++j, ++lane) {
      int below = 0;
      for (int l = 0; l < levels_; ++l) below += rest[lane] < threshold_[l * stride_ + first + j] ? 1 : 0;
      y[first + j] = static_cast<uint8_t>(flip_[first + j] != 0 ? below : levels_ - below);
    }
  }

 private:
  using Tag = hn::CappedTag<int32_t, 16>;

  const int32_t* threshold_;
  int64_t stride_;
  const uint8_t* flip_;
  int levels_;
};

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_LEVEL_COUNTER_INL_H_
