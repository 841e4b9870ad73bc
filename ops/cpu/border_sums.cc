#include "bitgrad/ops/cpu/border_sums.h"

#include <algorithm>
#include <bit>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/border_sums.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bit_runs-inl.h"
#include "bitgrad/ops/cpu/unpacked_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// sums[t * stride + o] += 2^q (number of ones in tap t of row o of w, which is bit plane q), for the rows [begin, end).
// `zeros` holds at least as many words as a tap, all zero.
void AddTapOnes(const ConstBitMatrixView& w, int q, int64_t begin, int64_t end, int64_t taps, int64_t channels,
                const uint64_t* zeros, int64_t stride, int32_t* sums) {
  int64_t o = begin;
  // Where taps are whole vectors, eight rows at a time: the XOR product with a row of zeros counts ones.
  if (channels % (64 * static_cast<int64_t>(hn::Lanes(WordTag()))) == 0) {
    for (; o + 8 <= end; o += 8) {
      for (int64_t t = 0; t < taps; ++t) {
        int32_t ones[8];
        EightRows<false>(zeros, w.row(o) + t * channels / 64, w.stride, channels / 64, ones);
        for (int i = 0; i < 8; ++i) sums[t * stride + o + i] += ones[i] << q;
      }
    }
  }
  for (; o < end; ++o) {
    for (int64_t t = 0; t < taps; ++t) sums[t * stride + o] += CountRun(w.row(o), t * channels, channels) << q;
  }
}

// sums[t * stride + o] += the sum of the codes in tap t of row o of w, which is logarithmic, for the rows [begin, end).
void AddLogTaps(const ConstPlanesView& w, int64_t first_row, int64_t begin, int64_t end, int64_t taps, int64_t channels,
                int64_t stride, int32_t* sums) {
  const int bits = w.encoding.bits, largest = static_cast<int>(w.encoding.largest_stored());
  for (int64_t o = begin; o < end; ++o) {
    for (int64_t from = 0, size; from < taps * channels; from += size) {
      const int64_t t = from / channels;
      size = std::min<int64_t>(64, (t + 1) * channels - from);
      uint64_t planes[kMaxCodeBits];
      for (int q = 0; q < bits; ++q) planes[q] = LoadRun(w.planes[q].row(first_row + o), from, size);
      for (int c = 0; c <= largest; ++c) {
        uint64_t is_c = ~uint64_t{0} >> (64 - size);
        for (int q = 0; q < bits; ++q) is_c &= c >> q & 1 ? planes[q] : ~planes[q];
        sums[t * stride + o] += std::popcount(is_c) * static_cast<int32_t>(w.encoding.code(c));
      }
    }
  }
}

void AddSums(const int32_t* x, int64_t count, int32_t* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] += x[i];
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(AddTapOnes);
HWY_EXPORT(AddLogTaps);
HWY_EXPORT(AddSums);

constexpr int64_t kPadding = 64;  // in filters: sums of a group are padded to a multiple

int64_t PaddedFilters(const ConvGeometry& g) { return (g.group_filters() + kPadding - 1) / kPadding * kPadding; }

}  // namespace

AxisClasses::AxisClasses(ExecContext& context, const ConvAxis& axis)
    : class_of_(context, axis.out), inside_(context, axis.out) {
  for (int64_t i = 0; i < axis.out; ++i) {
    const TapRange inside = axis.Inside(i);
    if (count_ == 0 || inside != inside_.data()[count_ - 1]) inside_.data()[count_++] = inside;
    class_of_.data()[i] = static_cast<int32_t>(count_ - 1);
  }
}

BorderSums::BorderSums(ExecContext& context, const ConvGeometry& g, const ConstPlanesView& w)
    : geometry_(g),
      group_stride_(PaddedFilters(g)),
      class_stride_(g.groups * group_stride_),
      rows_(context, VerticalAxis(g)),
      cols_(context, HorizontalAxis(g)),
      terms_(context, classes()),
      sums_(context, classes() * class_stride_) {
  const int64_t taps = g.kernel_height * g.kernel_width, channels = g.group_channels();
  const Scratch<int32_t> tap_sums(context, taps * class_stride_);
  std::fill_n(tap_sums.data(), taps * class_stride_, 0);
  const Scratch<uint64_t> zeros(context, channels / 64);
  std::fill_n(zeros.data(), channels / 64, uint64_t{0});
  const int64_t grain = RowGrain(taps * channels / 64);
  for (int64_t group = 0; group < g.groups; ++group) {
    const int64_t first = group * g.group_filters();
    int32_t* const group_sums = tap_sums.data() + group * group_stride_;
    ParallelFor(context.threads(), g.group_filters(), grain, [&](int64_t begin, int64_t end) {
      if (!w.encoding.is_affine()) {
        HWY_DYNAMIC_DISPATCH(AddLogTaps)(w, first, begin, end, taps, channels, class_stride_, group_sums);
        return;
      }
      for (int q = 0; q < w.encoding.bits; ++q) {
        const ConstBitMatrixView& plane = w.planes[q];
        const ConstBitMatrixView filters = {plane.row(first), g.group_filters(), plane.cols, plane.stride};
        HWY_DYNAMIC_DISPATCH(AddTapOnes)
        (filters, q, begin, end, taps, channels, zeros.data(), class_stride_, group_sums);
      }
    });
  }
  for (int64_t c = 0; c < classes(); ++c) {
    const TapRange rows = rows_.inside(c / cols_.count()), cols = cols_.inside(c % cols_.count());
    int32_t* const sums = this->sums(c, 0);
    std::fill_n(sums, class_stride_, 0);
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t r = t / g.kernel_width, s = t % g.kernel_width;
      if (r >= rows.begin && r < rows.end && s >= cols.begin && s < cols.end) continue;
      HWY_DYNAMIC_DISPATCH(AddSums)(tap_sums.data() + t * class_stride_, class_stride_, sums);
    }
    terms_.data()[c] = static_cast<int32_t>((taps - rows.size() * cols.size()) * channels);
  }
}

void BorderSums::Classify(int64_t begin, int64_t end, int32_t* classes) const {
  ForEachOutputRow(geometry_, begin, end, [&](int64_t pixel, int64_t, int64_t p, int64_t q_begin, int64_t q_end) {
    const int64_t row_class = rows_.of(p) * cols_.count();
    for (int64_t q = q_begin; q < q_end; ++q) {
      const int64_t c = row_class + cols_.of(q);
      classes[pixel - begin + q - q_begin] = terms(c) == 0 ? kInside : static_cast<int32_t>(c);
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
