// The patches of a bit image: what the kernel covers at each output pixel, side by side as a row of bits. Included through
// foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_
#undef BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_
#else
#define BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "core/bit_matrix.h"
#include "hwy/highway.h"
#include "ops/cpu/bit_runs-inl.h"
#include "ops/cpu/conv_axis.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// A patch consists of runs of bits, contiguous in the image: the taps of a row of the kernel, or each tap by itself where
// they are apart (dilation) or their channels are (groups).
//
// Where runs are whole words they are copied; every word of the patch is written.
struct WordRuns {
  static HWY_INLINE void Begin(uint64_t*, int64_t) {}
  static HWY_INLINE void Copy(const uint64_t* src, int64_t from, int64_t count, uint64_t* dst, int64_t to) {
    CopyWords(src + from / 64, count / 64, dst + to / 64);
  }
  static HWY_INLINE void Fill(bool bit, int64_t count, uint64_t* dst, int64_t to) {
    std::fill_n(dst + to / 64, count / 64, bit ? ~uint64_t{0} : uint64_t{0});
  }
};

// Where runs start and end within words they are shifted and added to a patch of zeros.
struct BitRuns {
  static HWY_INLINE void Begin(uint64_t* patch, int64_t words) { std::fill_n(patch, words, uint64_t{0}); }
  static HWY_INLINE void Copy(const uint64_t* src, int64_t from, int64_t count, uint64_t* dst, int64_t to) {
    OrBits(src, from, count, dst, to);
  }
  static HWY_INLINE void Fill(bool bit, int64_t count, uint64_t* dst, int64_t to) {
    if (bit) OrOnes(count, dst, to);
  }
};

template <typename Runs>
HWY_INLINE void GatherRuns(const ConvGeometry& g, int64_t group, const ConstBitMatrixView& x, bool border_bit,
                           int64_t begin, int64_t end, int64_t words, const BitMatrixView& patches) {
  const ConvAxis vertical = VerticalAxis(g), horizontal = HorizontalAxis(g);
  const int64_t tap_bits = g.group_channels();
  const int64_t row_bits = g.kernel_width * tap_bits;
  const bool joined = g.groups == 1 && (g.dilation_width == 1 || g.kernel_width == 1);
  const int64_t used = (g.patch_size() + 63) / 64;
  ForEachPixel(g, begin, end, [&](int64_t row, int64_t image, int64_t p, int64_t q) HWY_ATTR {
    const uint64_t* bits = x.row(image);
    uint64_t* patch = patches.row(row);
    Runs::Begin(patch, used);
    const TapRange rows = vertical.Inside(p), cols = horizontal.Inside(q);
    const int64_t left = cols.begin * tap_bits, inside = cols.size() * tap_bits;
    // Of the first tap inside, in its row of the image.
    const int64_t column = (horizontal.First(q) + cols.begin * g.dilation_width) * g.channels + group * tap_bits;
    const int64_t step = g.dilation_width * g.channels;
    int64_t to = 0;
    for (int64_t r = 0; r < g.kernel_height; ++r, to += row_bits) {
      if (r < rows.begin || r >= rows.end || inside == 0) {
        Runs::Fill(border_bit, row_bits, patch, to);
        continue;
      }
      const int64_t from = (vertical.First(p) + r * g.dilation_height) * g.width * g.channels + column;
      if (left > 0) Runs::Fill(border_bit, left, patch, to);
      if (joined) {
        Runs::Copy(bits, from, inside, patch, to + left);
      } else {
        for (int64_t s = 0; s < cols.size(); ++s) {
          Runs::Copy(bits, from + s * step, tap_bits, patch, to + left + s * tap_bits);
        }
      }
      if (left + inside < row_bits) Runs::Fill(border_bit, row_bits - left - inside, patch, to + left + inside);
    }
    std::fill(patch + used, patch + words, uint64_t{0});
  });
}

// The patches of output pixels [begin, end), counted over all images, of group `group`: rows 0 .. end - begin - 1 of
// `patches`, `words` words each, zero past the patch. The border as bit `border_bit`.
inline void GatherBitPatches(const ConvGeometry& g, int64_t group, const ConstBitMatrixView& x, bool border_bit, int64_t begin,
                      int64_t end, int64_t words, const BitMatrixView& patches) {
  if (g.group_channels() % 64 == 0) {
    GatherRuns<WordRuns>(g, group, x, border_bit, begin, end, words, patches);
  } else {
    GatherRuns<BitRuns>(g, group, x, border_bit, begin, end, words, patches);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_
