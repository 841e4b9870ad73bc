#include "ops/cpu/border_sums.h"

#include <algorithm>

#include "core/parallel_for.h"
#include "ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/border_sums.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "ops/cpu/bit_runs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// sums[t * stride] = the sum of the codes that tap t of filter `filter` stores.
void TapSums(const ConstPlanesView& w, int64_t filter, int64_t taps, int64_t channels, int64_t stride, int32_t* sums) {
  for (int64_t t = 0; t < taps; ++t) {
    int32_t sum = 0;
    for (int q = 0; q < w.encoding.bits; ++q) sum += CountRun(w.planes[q].row(filter), t * channels, channels) << q;
    sums[t * stride] = sum;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(TapSums);

constexpr int64_t kPadding = 64;  // filters

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
  ParallelFor(context.threads(), g.filters, RowGrain(taps * channels / 8), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const int64_t at = o / g.group_filters() * group_stride_ + o % g.group_filters();
      HWY_DYNAMIC_DISPATCH(TapSums)(w, o, taps, channels, class_stride_, tap_sums.data() + at);
    }
  });
  for (int64_t c = 0; c < classes(); ++c) {
    const TapRange rows = rows_.inside(c / cols_.count()), cols = cols_.inside(c % cols_.count());
    int32_t* const sums = this->sums(c, 0);
    std::fill_n(sums, class_stride_, 0);
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t r = t / g.kernel_width, s = t % g.kernel_width;
      if (r >= rows.begin && r < rows.end && s >= cols.begin && s < cols.end) continue;
      const int32_t* const tap = tap_sums.data() + t * class_stride_;
      for (int64_t o = 0; o < class_stride_; ++o) sums[o] += tap[o];
    }
    terms_.data()[c] = static_cast<int32_t>((taps - rows.size() * cols.size()) * channels);
  }
}

void BorderSums::Classify(int64_t begin, int64_t end, int32_t* classes) const {
  ForEachPixel(geometry_, begin, end, [&](int64_t row, int64_t, int64_t p, int64_t q) {
    const int64_t c = rows_.of(p) * cols_.count() + cols_.of(q);
    classes[row] = terms(c) == 0 ? kInside : static_cast<int32_t>(c);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
