#include <algorithm>
#include <cstdint>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/tap_probabilities.h"

namespace bitgrad::cpu {
namespace {

// Calls body(filter) for all filters.
template <typename Body>
void ForEachFilter(ExecContext& context, const TapExtents& extents, const Body& body) {
  ParallelFor(context.threads(), extents.filters, RowGrain(extents.filter_size()), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) body(o);
  });
}

const uint8_t* KeptOf(const TapSelection& selection, int64_t filter) {
  return selection.kept + (selection.shared ? 0 : filter * selection.extents.channels);
}

// y[o, t, i] = the kept element, read(o, index in a filter of x), or `other`.
template <typename T, typename Read>
void Select(ExecContext& context, const TapSelection& selection, T other, const Read& read, T* y) {
  const TapExtents& e = selection.extents;
  ForEachFilter(context, e, [&](int64_t o) {
    const uint8_t* const kept = KeptOf(selection, o);
    T* to = y + o * e.filter_size();
    for (int64_t t = 0; t < e.taps; ++t, to += e.channels) {
      for (int64_t i = 0; i < e.channels; ++i) {
        to[i] = kept[i] == t ? read(o, selection.spreads ? i : t * e.channels + i) : other;
      }
    }
  });
}

}  // namespace

void TapProbabilities(ExecContext& context, const TapExtents& extents, const float* a, const float* temperature,
                      float* p) {
  BITGRAD_DCHECK(extents.taps > 1 && extents.taps <= kMaxTaps);
  ForEachFilter(context, extents, [&](int64_t o) {
    for (int64_t i = 0; i < extents.channels; ++i) {
      const int64_t at = o * extents.filter_size() + i;
      ProbabilitiesOfTaps(extents.taps, extents.channels, a + at, *temperature, p + at);
    }
  });
}

void TapAttentionBackward(ExecContext& context, const TapExtents& extents, bool shared, const float* w, const float* dy,
                          const float* a, const float* temperature, const float* p, float* da) {
  const int64_t channels = extents.channels, size = extents.filter_size();
  if (!shared) {
    return ForEachFilter(context, extents, [&](int64_t o) {
      for (int64_t i = 0; i < channels; ++i) {
        const int64_t at = o * size + i;
        const auto dp = [&](int64_t t) { return double{dy[at + t * channels]} * double{w[at + t * channels]}; };
        GradientOfTaps(extents.taps, channels, a + at, *temperature, p + at, dp, da + at);
      }
    });
  }
  // All filters have the same P: their gradients add up, in the filters' order.
  std::vector<double> sums(static_cast<size_t>(size), 0.0);
  for (int64_t o = 0; o < extents.filters; ++o) {
    for (int64_t j = 0; j < size; ++j) sums[j] += double{dy[o * size + j]} * double{w[o * size + j]};
  }
  for (int64_t i = 0; i < channels; ++i) {
    const auto dp = [&](int64_t t) { return sums[t * channels + i]; };
    GradientOfTaps(extents.taps, channels, a + i, *temperature, p + i, dp, da + i);
  }
}

void KeptTaps(ExecContext& context, const TapExtents& extents, const float* p, uint8_t* kept) {
  ForEachFilter(context, extents, [&](int64_t o) {
    for (int64_t i = 0; i < extents.channels; ++i) {
      kept[o * extents.channels + i] =
          static_cast<uint8_t>(KeptTap(extents.taps, extents.channels, p + o * extents.filter_size() + i));
    }
  });
}

void KeepTaps(ExecContext& context, const TapSelection& selection, const float* x, float* y) {
  const TapExtents& e = selection.extents;
  const int64_t size = selection.spreads ? e.channels : e.filter_size();
  Select(
      context, selection, 0.0f, [&](int64_t o, int64_t j) { return x[o * size + j]; }, y);
}

void KeepTapsBackward(ExecContext& context, const TapSelection& selection, const float* dy, float* dx) {
  const TapExtents& e = selection.extents;
  if (!selection.spreads) return KeepTaps(context, selection, dy, dx);
  ForEachFilter(context, e, [&](int64_t o) {
    const uint8_t* const kept = KeptOf(selection, o);
    for (int64_t i = 0; i < e.channels; ++i) {
      dx[o * e.channels + i] = kept[i] < e.taps ? dy[o * e.filter_size() + kept[i] * e.channels + i] : 0.0f;
    }
  });
}

void KeepTapCodes(ExecContext& context, const TapSelection& selection, const CodesWithZero& map,
                  ConstMatrixView<uint8_t> codes, ConstBitMatrixView bits, uint8_t* y) {
  if (bits.words != nullptr) {
    Select(
        context, selection, map.zero, [&](int64_t o, int64_t j) { return map.Of(bits.bit(o, j) ? 1 : 0); }, y);
  } else {
    Select(
        context, selection, map.zero, [&](int64_t o, int64_t j) { return map.Of(codes.at(o, j)); }, y);
  }
}

}  // namespace bitgrad::cpu
