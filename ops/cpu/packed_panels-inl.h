// Panels of the packed GEMM: the words of several rows of b interleaved, so that a vector holds one word of each.
// Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_PACKED_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_PACKED_PANELS_INL_H_
#undef BITGRAD_OPS_CPU_PACKED_PANELS_INL_H_
#else
#define BITGRAD_OPS_CPU_PACKED_PANELS_INL_H_
#endif

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using WordTag = hn::CappedTag<uint64_t, 16>;
using WordVec = hn::Vec<WordTag>;

// The width of the next panel in vectors, where `cols` columns are left: 1, 2 or 4.
HWY_INLINE int64_t PanelVectors(int64_t cols) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(WordTag()));
  return cols > 2 * lanes ? 4 : cols > lanes ? 2 : 1;
}

// out[w][c] = in[c][w] for a square of words that is as wide as a vector, so that rows of b become columns of a panel.
// Two rows are interleaved within 128-bit blocks, then the blocks themselves are permuted.
template <int kLanes>
struct Transpose {
  // For other vector lengths than 4 and 8, word by word.
  static HWY_INLINE void Apply(const uint64_t* in, int64_t in_stride, uint64_t* out, int64_t out_stride) {
    for (int64_t c = 0; c < kLanes; ++c) {
      for (int64_t w = 0; w < kLanes; ++w) out[w * out_stride + c] = in[c * in_stride + w];
    }
  }
};

#if HWY_TARGET != HWY_SCALAR

template <>
struct Transpose<4> {
  static HWY_INLINE void Apply(const uint64_t* in, int64_t in_stride, uint64_t* out, int64_t out_stride) {
    const hn::CappedTag<uint64_t, 4> d;
    const auto r0 = hn::LoadU(d, in), r1 = hn::LoadU(d, in + in_stride);
    const auto r2 = hn::LoadU(d, in + 2 * in_stride), r3 = hn::LoadU(d, in + 3 * in_stride);
    // Words {0, 2} and {1, 3} of rows 0, 1 and of rows 2, 3.
    const auto even01 = hn::InterleaveLower(d, r0, r1), odd01 = hn::InterleaveUpper(d, r0, r1);
    const auto even23 = hn::InterleaveLower(d, r2, r3), odd23 = hn::InterleaveUpper(d, r2, r3);
    hn::StoreU(hn::ConcatLowerLower(d, even23, even01), d, out);
    hn::StoreU(hn::ConcatLowerLower(d, odd23, odd01), d, out + out_stride);
    hn::StoreU(hn::ConcatUpperUpper(d, even23, even01), d, out + 2 * out_stride);
    hn::StoreU(hn::ConcatUpperUpper(d, odd23, odd01), d, out + 3 * out_stride);
  }
};

template <>
struct Transpose<8> {
  // `pairs` are the interleaved rows (0, 1), (2, 3), (4, 5), (6, 7): their block k belongs to word `word` + 2k.
  template <class D, class V>
  static HWY_INLINE void StoreWords(D d, V p01, V p23, V p45, V p67, int word, uint64_t* out, int64_t out_stride) {
    // Blocks {0, 2} and {1, 3} of two pairs side by side.
    const auto even03 = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(p23), p01);
    const auto odd03 = hn::OddEvenBlocks(p23, hn::SwapAdjacentBlocks(p01));
    const auto even47 = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(p67), p45);
    const auto odd47 = hn::OddEvenBlocks(p67, hn::SwapAdjacentBlocks(p45));
    hn::StoreU(hn::ConcatLowerLower(d, even47, even03), d, out + word * out_stride);
    hn::StoreU(hn::ConcatLowerLower(d, odd47, odd03), d, out + (word + 2) * out_stride);
    hn::StoreU(hn::ConcatUpperUpper(d, even47, even03), d, out + (word + 4) * out_stride);
    hn::StoreU(hn::ConcatUpperUpper(d, odd47, odd03), d, out + (word + 6) * out_stride);
  }

  static HWY_INLINE void Apply(const uint64_t* in, int64_t in_stride, uint64_t* out, int64_t out_stride) {
    const hn::CappedTag<uint64_t, 8> d;
    const auto r0 = hn::LoadU(d, in), r1 = hn::LoadU(d, in + in_stride);
    const auto r2 = hn::LoadU(d, in + 2 * in_stride), r3 = hn::LoadU(d, in + 3 * in_stride);
    const auto r4 = hn::LoadU(d, in + 4 * in_stride), r5 = hn::LoadU(d, in + 5 * in_stride);
    const auto r6 = hn::LoadU(d, in + 6 * in_stride), r7 = hn::LoadU(d, in + 7 * in_stride);
    StoreWords(d, hn::InterleaveLower(d, r0, r1), hn::InterleaveLower(d, r2, r3), hn::InterleaveLower(d, r4, r5),
               hn::InterleaveLower(d, r6, r7), 0, out, out_stride);
    StoreWords(d, hn::InterleaveUpper(d, r0, r1), hn::InterleaveUpper(d, r2, r3), hn::InterleaveUpper(d, r4, r5),
               hn::InterleaveUpper(d, r6, r7), 1, out, out_stride);
  }
};

#endif  // HWY_TARGET != HWY_SCALAR

// panel[w * width + c] = word w of row `row + c` of b, for c < width; zero after the last row.
HWY_INLINE void PackPanel(const ConstBitMatrixView& b, int64_t words, int64_t row, int64_t width, uint64_t* panel) {
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(WordTag()));
  for (int64_t c = 0; c < width; c += kLanes) {
    int64_t w = 0;
    if (row + c + kLanes <= b.rows) {
      for (; w + kLanes <= words; w += kLanes) {
        Transpose<kLanes>::Apply(b.row(row + c) + w, b.stride, panel + w * width + c, width);
      }
    }
    for (; w < words; ++w) {
      for (int64_t l = 0; l < kLanes; ++l) {
        panel[w * width + c + l] = row + c + l < b.rows ? b.row(row + c + l)[w] : 0;
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_PACKED_PANELS_INL_H_
