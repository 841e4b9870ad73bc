// Rounding to number formats. Limited by the 8 bytes that are read and written per element; counts of overflows are
// added up in a block, and once per block in memory, as integers, so that their order does not matter.

#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/rounding.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

__global__ void RoundKernel(const __grid_constant__ Rounding rounding, const float* x, float* y, int64_t count,
                            OverflowCell* overflows) {
  const Rounder round(rounding);
  OverflowSum sum;
  ForEachElement(count, [&](int64_t i) { y[i] = round(x[i], sum); });
  sum.AddTo(overflows);
}

constexpr int kMostRanges = 128;
struct RangeTable {
  ControlledRange ranges[kMostRanges];
  int32_t count = 0;
};
static_assert(sizeof(RangeTable) <= 4096 - 64);

__global__ void ControlKernel(const __grid_constant__ RangeTable table, float most_overflow, float batches) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= table.count) return;
  float* const overflows = table.ranges[i].overflows;
  if (overflows[2] < batches) return;
  float* const range = table.ranges[i].range;
  *range = ControlledTo(*range, overflows[0], overflows[1], overflows[2], most_overflow);
  for (int k = 0; k < 3; ++k) overflows[k] = 0;
}

}  // namespace

void RoundNumbers(ExecContext& context, const Rounding& rounding, const float* x, float* y, int64_t count) {
  if (count == 0) return;
  const OverflowCells cells(context, "round_numbers", {rounding});
  Launch(context, "round_numbers", RoundKernel, OverElements(count), rounding, x, y, count, cells.cell(0));
  cells.Store(count);
}

void ControlRanges(ExecContext& context, float most_overflow, float batches, absl::Span<const ControlledRange> ranges) {
  for (size_t first = 0; first < ranges.size(); first += kMostRanges) {
    RangeTable table;
    for (const ControlledRange& range : ranges.subspan(first, kMostRanges)) table.ranges[table.count++] = range;
    Launch(context, "control_ranges", ControlKernel, {dim3(1), dim3(kMostRanges)}, table, most_overflow, batches);
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
