// Attention over taps, and kernels of one tap. Weights are few beside images, so each kernel takes little longer than
// its launch. A thread has the taps of one pair of filter and channel; adjacent threads have adjacent channels.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/column_sums.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/scratch.h"
#include "bitgrad/ops/kernels/tap_probabilities.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// y[o, t, i] = the kept element, read(o, index in a filter of x), or `other`.
template <typename T, typename Read>
void SelectTaps(ExecContext& context, const char* name, const TapSelection& selection, T other, const Read& read,
                T* y) {
  const TapExtents e = selection.extents;
  const uint8_t* const kept = selection.kept;
  const int64_t kept_stride = selection.shared ? 0 : e.channels;
  const bool spreads = selection.spreads;
  ForCells(context, name, e.filters * e.taps, e.channels, [=] __device__(int64_t row, int64_t i) {
    const int64_t o = row / e.taps, t = row - o * e.taps;
    const bool keeps = kept[o * kept_stride + i] == t;
    y[row * e.channels + i] = keeps ? read(o, spreads ? i : t * e.channels + i) : other;
  });
}

void TapProbabilities(ExecContext& context, const TapExtents& extents, const float* a, const float* temperature,
                      float* p) {
  BITGRAD_DCHECK(extents.taps > 1 && extents.taps <= kMaxTaps);
  ForCells(context, "tap_probabilities", extents.filters, extents.channels, [=] __device__(int64_t o, int64_t i) {
    const int64_t at = o * extents.filter_size() + i;
    ProbabilitiesOfTaps(extents.taps, extents.channels, a + at, *temperature, p + at);
  });
}

void TapAttentionBackward(ExecContext& context, const TapExtents& extents, bool shared, const float* w, const float* dy,
                          const float* a, const float* temperature, const float* p, float* da) {
  const int64_t taps = extents.taps, channels = extents.channels, size = extents.filter_size();
  if (!shared) {
    return ForCells(context, "tap_attention_backward", extents.filters, channels, [=] __device__(int64_t o, int64_t i) {
      const int64_t at = o * size + i;
      const auto dp = [&](int64_t t) {
        const int64_t j = at + t * channels;
        return static_cast<double>(dy[j]) * static_cast<double>(w[j]);
      };
      GradientOfTaps(taps, channels, a + at, *temperature, p + at, dp, da + at);
    });
  }
  const Scratch<double> sums_over_filters(context, size);
  double* const sums = sums_over_filters.data();
  SumColumns<1>(
      context, "tap_attention_backward", extents.filters, size,
      [=] __device__(int64_t o, int64_t j, double* sum) {
        sum[0] += static_cast<double>(dy[o * size + j]) * static_cast<double>(w[o * size + j]);
      },
      [=] __device__(int64_t j, const double* sum) { sums[j] = sum[0]; });
  ForElements(context, "tap_attention_backward", channels, [=] __device__(int64_t i) {
    const auto dp = [&](int64_t t) { return sums[t * channels + i]; };
    GradientOfTaps(taps, channels, a + i, *temperature, p + i, dp, da + i);
  });
}

void KeptTaps(ExecContext& context, const TapExtents& extents, const float* p, uint8_t* kept) {
  ForCells(context, "kept_taps", extents.filters, extents.channels, [=] __device__(int64_t o, int64_t i) {
    const int64_t tap = KeptTap(extents.taps, extents.channels, p + o * extents.filter_size() + i);
    kept[o * extents.channels + i] = static_cast<uint8_t>(tap);
  });
}

void KeepTaps(ExecContext& context, const TapSelection& selection, const float* x, float* y) {
  const int64_t size = selection.spreads ? selection.extents.channels : selection.extents.filter_size();
  SelectTaps(
      context, "keep_taps", selection, 0.0f, [=] __device__(int64_t o, int64_t j) { return x[o * size + j]; }, y);
}

void KeepTapsBackward(ExecContext& context, const TapSelection& selection, const float* dy, float* dx) {
  if (!selection.spreads) return KeepTaps(context, selection, dy, dx);
  const TapExtents e = selection.extents;
  const uint8_t* const kept = selection.kept;
  const int64_t kept_stride = selection.shared ? 0 : e.channels;
  ForCells(context, "keep_taps_backward", e.filters, e.channels, [=] __device__(int64_t o, int64_t i) {
    const int64_t tap = kept[o * kept_stride + i];
    dx[o * e.channels + i] = tap < e.taps ? dy[o * e.filter_size() + tap * e.channels + i] : 0.0f;
  });
}

void KeepTapCodes(ExecContext& context, const TapSelection& selection, const CodesWithZero& map,
                  ConstMatrixView<uint8_t> codes, ConstBitMatrixView bits, uint8_t* y) {
  if (bits.words != nullptr) {
    SelectTaps(
        context, "keep_tap_codes", selection, map.zero,
        [=] __device__(int64_t o, int64_t j) {
          return map.Of(static_cast<int32_t>(bits.row(o)[j / 64] >> j % 64 & 1));
        },
        y);
  } else {
    SelectTaps(
        context, "keep_tap_codes", selection, map.zero,
        [=] __device__(int64_t o, int64_t j) { return map.Of(codes.at(o, j)); }, y);
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
