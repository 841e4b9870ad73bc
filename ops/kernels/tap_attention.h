// Attention over the taps of a convolution's kernels, and kernels of one tap (ops/tap_attention.h).

#ifndef BITGRAD_OPS_KERNELS_TAP_ATTENTION_H_
#define BITGRAD_OPS_KERNELS_TAP_ATTENTION_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

// Filters [filters, taps, channels], or what is chosen for them. A kernel is a pair of a filter and a channel.
struct TapExtents {
  int64_t filters = 0, taps = 0, channels = 0;
  constexpr int64_t filter_size() const { return taps * channels; }
  constexpr int64_t size() const { return filters * filter_size(); }
};

// ---- Attention. REQUIRES: 2 to kMaxTaps taps. temperature [1]

// P of each kernel (tap_probabilities.h).   a, p as the extents say
using TapProbabilities = void(ExecContext& context, const TapExtents& extents, const float* a, const float* temperature,
                              float* p);

// da of y = P w.   w, dy as the extents say; a, p, da as well or, where all filters share one choice, [taps, channels]:
// then the gradients of the filters add up, in double.
using TapAttentionBackward = void(ExecContext& context, const TapExtents& extents, bool shared, const float* w,
                                  const float* dy, const float* a, const float* temperature, const float* p, float* da);

// kept[o, i] = the tap whose p is above 1/2, or `taps` where there is none.   kept [filters, channels]
using KeptTaps = void(ExecContext& context, const TapExtents& extents, const float* p, uint8_t* kept);

// ---- Kernels of one tap or none.

struct TapSelection {
  TapExtents extents;  // of y
  // [filters, channels] or, where shared, [channels]: which tap each kernel keeps; `extents.taps` is none.
  const uint8_t* kept = nullptr;
  bool shared = false;
  // Whether x has the kept taps alone, [filters, channels]. Otherwise it has all, as y.
  bool spreads = false;
};

// y[o, t, i] = x[o, t, i], or x[o, i] where the selection spreads, for the kept tap; 0 for others.
using KeepTaps = void(ExecContext& context, const TapSelection& selection, const float* x, float* y);
// The gradient: dx = dy of the kept tap; 0 for others and for kernels that keep none.
using KeepTapsBackward = void(ExecContext& context, const TapSelection& selection, const float* dy, float* dx);

// How a stored code c (core/encoding.h) becomes that of an encoding which has a zero: factor * c + offset.
struct CodesWithZero {
  int32_t factor = 1, offset = 0;
  uint8_t zero = 0;  // the stored code of 0

  constexpr uint8_t Of(int32_t stored) const { return static_cast<uint8_t>(factor * stored + offset); }
};

// The same as KeepTaps for stored codes. x is a matrix with a row for each filter, of bytes or, where bits.words is not
// null, of bits.   y [filters, taps * channels] without gaps
using KeepTapCodes = void(ExecContext& context, const TapSelection& selection, const CodesWithZero& map,
                          ConstMatrixView<uint8_t> codes, ConstBitMatrixView bits, uint8_t* y);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_TAP_ATTENTION_H_
