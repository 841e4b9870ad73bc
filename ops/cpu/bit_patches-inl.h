// Patches of a bit image. The patch of an output pixel is what the kernel covers there, as one row of bits. Included
// through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_
#undef BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_
#else
#define BITGRAD_OPS_CPU_BIT_PATCHES_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/ops/cpu/conv_axis.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bit_runs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// The same run of bits in each of `count` patches, which are `stride` words apart.
struct PatchRuns {
  uint64_t* patches;
  int64_t stride;
  int64_t count;
};

// A patch consists of runs of bits that are contiguous in the image. A run is a whole row of the kernel's taps, or a
// single tap where taps are not adjacent in the image (dilation) or their channels are not (groups). Copy() copies one
// run into each of the patches: for patch i it starts at bit from + i * step of the image.
//
// WordRuns is for runs that are whole words: they are copied, and every word of a patch is written.
struct WordRuns {
  static HWY_INLINE void Begin(const PatchRuns&, int64_t) {}

  static HWY_INLINE void Copy(const uint64_t* src, int64_t from, int64_t step, int64_t bits, const PatchRuns& runs,
                              int64_t to) {
    src += from / 64;
    uint64_t* dst = runs.patches + to / 64;
    int64_t words = bits / 64;
    // Runs are short, often three words. So the loops are swapped: a vector of words for all patches, then the next
    // vector.
    const auto copy = [&](auto d) HWY_ATTR {
      const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
      for (; words >= lanes; words -= lanes, src += lanes, dst += lanes) {
        const uint64_t* in = src;
        uint64_t* out = dst;
        for (int64_t i = 0; i < runs.count; ++i, in += step / 64, out += runs.stride) {
          hn::StoreU(hn::LoadU(d, in), d, out);
        }
      }
    };
    copy(hn::CappedTag<uint64_t, 8>());
    copy(hn::CappedTag<uint64_t, 4>());
    copy(hn::CappedTag<uint64_t, 2>());
    copy(hn::CappedTag<uint64_t, 1>());
  }

  static HWY_INLINE void Fill(bool bit, int64_t bits, const PatchRuns& runs, int64_t to) {
    for (int64_t i = 0; i < runs.count; ++i) {
      std::fill_n(runs.patches + i * runs.stride + to / 64, bits / 64, bit ? ~uint64_t{0} : uint64_t{0});
    }
  }
};

// BitRuns is for runs that start and end within words: Begin() fills the patches with zeros, and runs are shifted and
// ORed into them.
struct BitRuns {
  static HWY_INLINE void Begin(const PatchRuns& runs, int64_t words) {
    for (int64_t i = 0; i < runs.count; ++i) std::fill_n(runs.patches + i * runs.stride, words, uint64_t{0});
  }
  static HWY_INLINE void Copy(const uint64_t* src, int64_t from, int64_t step, int64_t bits, const PatchRuns& runs,
                              int64_t to) {
    for (int64_t i = 0; i < runs.count; ++i) OrBits(src, from + i * step, bits, runs.patches + i * runs.stride, to);
  }
  static HWY_INLINE void Fill(bool bit, int64_t bits, const PatchRuns& runs, int64_t to) {
    if (!bit) return;
    for (int64_t i = 0; i < runs.count; ++i) OrOnes(bits, runs.patches + i * runs.stride, to);
  }
};

// Gathers the patches of runs.count output pixels q, q + 1, ... of row p. REQUIRES: they all have the same taps `cols`
// inside the image.
template <typename Runs>
HWY_INLINE void GatherSpan(const ConvGeometry& g, int64_t group, const uint64_t* image, bool border_bit, int64_t p,
                           int64_t q, const TapRange& cols, const PatchRuns& runs) {
  const ConvAxis vertical = VerticalAxis(g);
  const TapRange rows = vertical.Inside(p);
  const int64_t tap_bits = g.group_channels(), row_bits = g.kernel_width * tap_bits;
  const int64_t left = cols.begin * tap_bits, inside = cols.size() * tap_bits;
  const int64_t step = g.stride_width * g.channels, tap_step = g.dilation_width * g.channels;
  const bool joined = tap_step == tap_bits || g.kernel_width * g.groups == 1;
  // The bit in its row of the image at which the first tap inside starts.
  const int64_t column = HorizontalAxis(g).First(q) * g.channels + cols.begin * tap_step + group * tap_bits;
  Runs::Begin(runs, (g.patch_size() + 63) / 64);
  for (int64_t r = 0, to = 0; r < g.kernel_height; ++r, to += row_bits) {
    if (r < rows.begin || r >= rows.end || inside == 0) {
      Runs::Fill(border_bit, row_bits, runs, to);
      continue;
    }
    const int64_t from = (vertical.First(p) + r * g.dilation_height) * g.width * g.channels + column;
    if (left > 0) Runs::Fill(border_bit, left, runs, to);
    if (joined) {
      Runs::Copy(image, from, step, inside, runs, to + left);
    } else {
      for (int64_t s = 0; s < cols.size(); ++s) {
        Runs::Copy(image, from + s * tap_step, step, tap_bits, runs, to + left + s * tap_bits);
      }
    }
    if (left + inside < row_bits) Runs::Fill(border_bit, row_bits - left - inside, runs, to + left + inside);
  }
}

template <typename Runs>
HWY_INLINE void GatherRuns(const ConvGeometry& g, int64_t group, const ConstBitMatrixView& x, bool border_bit,
                           int64_t begin, int64_t end, int64_t words, const BitMatrixView& patches) {
  const ConvAxis horizontal = HorizontalAxis(g);
  const int64_t full_begin = horizontal.FullBegin(), full_end = horizontal.FullEnd();
  ForEachOutputRow(g, begin, end, [&](int64_t pixel, int64_t n, int64_t p, int64_t q_begin, int64_t q_end) HWY_ATTR {
    for (int64_t q = q_begin, count = 1; q < q_end; q += count) {
      count = q >= full_begin && q < full_end ? std::min(q_end, full_end) - q : 1;
      GatherSpan<Runs>(g, group, x.row(n), border_bit, p, q, horizontal.Inside(q),
                       {patches.row(pixel - begin + q - q_begin), patches.stride, count});
    }
  });
  for (int64_t w = (g.patch_size() + 63) / 64; w < words; ++w) {
    for (int64_t i = 0; i < end - begin; ++i) patches.row(i)[w] = 0;
  }
}

// Gathers the patches of output pixels [begin, end) of group `group`; pixels are counted over all images. They become
// rows 0 .. end - begin - 1 of `patches`, `words` words each, with zeros after the patch. The border is bit
// `border_bit`.
inline void GatherBitPatches(const ConvGeometry& g, int64_t group, const ConstBitMatrixView& x, bool border_bit,
                             int64_t begin, int64_t end, int64_t words, const BitMatrixView& patches) {
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
