#include <cstdint>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/overflow_counts.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/round_numbers.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/round_numbers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

void Round(NumberFormatKind kind, const FixedPoint& fixed, const float* x, float* y, int64_t count,
           OverflowCounts* overflows) {
  RoundBlock(kind, fixed, x, y, count, overflows);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(Round);

}  // namespace

void RoundNumbers(ExecContext& context, const Rounding& rounding, const float* x, float* y, int64_t count) {
  const FixedPoint fixed = FixedPointOf(rounding);
  OverflowSum sum(rounding);
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    OverflowCounts piece;
    HWY_DYNAMIC_DISPATCH(Round)
    (rounding.kind, fixed, x + begin, y + begin, end - begin, sum.counts() ? &piece : nullptr);
    sum.Add(piece);
  });
  sum.Store(count);
}

void ControlRanges(ExecContext& /*context*/, float most_overflow, float batches,
                   absl::Span<const ControlledRange> ranges) {
  for (const ControlledRange& each : ranges) {
    float* const overflows = each.overflows;
    if (overflows[2] < batches) continue;
    *each.range = ControlledTo(*each.range, overflows[0], overflows[1], overflows[2], most_overflow);
    for (int i = 0; i < 3; ++i) overflows[i] = 0;
  }
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
