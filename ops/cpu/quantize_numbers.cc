// The numbers that quantizers read beside x: statistics of a tensor or of its rows, what variables begin with, scales.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/largest_magnitude.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/row_numbers.h"
#include "bitgrad/ops/quantizers/scalar.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/quantize_numbers.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

double SumAbs(const float* x, int64_t count) {
  return LaneSum(count, [x](int64_t j) { return static_cast<double>(std::fabs(x[j])); });
}

float MaxAbs(const float* x, int64_t count) { return LargestMagnitude(x, count); }

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(SumAbs);
HWY_EXPORT(MaxAbs);

float Mean(double sum, int64_t count) {
  return count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count));
}

// mean[0] of the matrix, or mean[i] of each row.
void MeanAbs(ExecContext& context, Granularity granularity, ConstMatrixView<float> x, float* mean) {
  const auto sum_of_row = [&](int64_t i) { return HWY_DYNAMIC_DISPATCH(SumAbs)(x.row(i), x.cols); };
  if (granularity == Granularity::kRow) {
    ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) mean[i] = Mean(sum_of_row(i), x.cols);
    });
    return;
  }
  // The blocks depend on the shape only.
  *mean = Mean(SumOverBlocks(context.threads(), x.rows, RowGrain(x.cols),
                             [&](int64_t begin, int64_t end) {
                               double sum = 0;
                               for (int64_t i = begin; i < end; ++i) sum += sum_of_row(i);
                               return sum;
                             }),
               x.size());
}

void MaxAbs(ExecContext& context, Granularity granularity, ConstMatrixView<float> x, float* max) {
  std::vector<float> rows(granularity == Granularity::kRow ? 0 : x.rows);
  float* const row_max = granularity == Granularity::kRow ? max : rows.data();
  ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) row_max[i] = HWY_DYNAMIC_DISPATCH(MaxAbs)(x.row(i), x.cols);
  });
  if (granularity == Granularity::kTensor) *max = rows.empty() ? 0.0f : *std::max_element(rows.begin(), rows.end());
}

int64_t CountOf(Granularity granularity, ConstMatrixView<float> x) {
  return granularity == Granularity::kRow ? x.rows : 1;
}

}  // namespace

void QuantizeStatistic(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, float* statistic) {
  const Granularity granularity = quantizer.granularity();
  switch (quantizer.statistic()) {
    case Statistic::kNone: return;
    case Statistic::kMeanAbs: return MeanAbs(context, granularity, x, statistic);
    case Statistic::kMaxAbs: return MaxAbs(context, granularity, x, statistic);
    case Statistic::kMaxAbsTanh:
      // tanh is monotone and odd, so the largest |tanh x| is the tanh of the largest |x|.
      MaxAbs(context, granularity, x, statistic);
      for (int64_t i = 0; i < CountOf(granularity, x); ++i) statistic[i] = Tanh(statistic[i]);
      return;
  }
}

void QuantizeInitialValue(ExecContext& context, const Quantizer& quantizer, QuantizerNumber which,
                          ConstMatrixView<float> x, float* value) {
  const Granularity granularity = quantizer.granularity();
  const int64_t count = CountOf(granularity, x);
  std::vector<float> mean(count), max(count);
  MeanAbs(context, granularity, x, mean.data());
  MaxAbs(context, granularity, x, max.data());
  for (int64_t i = 0; i < count; ++i) {
    value[i] = which == QuantizerNumber::kScale ? InitialScale(mean[i])
                                                : quantizer.variable().initial(quantizer.args(), mean[i], max[i]);
  }
}

void QuantizeScale(ExecContext&, const Quantizer& quantizer, const QuantizerOperands& operands, int64_t rows,
                   float* scale) {
  const RowNumbers numbers = RowNumbersOf(quantizer, operands);
  const int64_t count = quantizer.granularity() == Granularity::kRow ? rows : 1;
  for (int64_t i = 0; i < count; ++i) scale[i] = numbers.scale(i);
}

void TrackStatistic(ExecContext&, float momentum, const float* statistic, int64_t count, float* running) {
  for (int64_t i = 0; i < count; ++i) running[i] += momentum * (statistic[i] - running[i]);
}

void CombineScales(ExecContext&, const ScaleView& a, const ScaleView& b, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = a.at(i) * b.at(i);
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
