// The numbers that quantizers read beside x: what variables begin with, running statistics, scales. One per tensor or
// per row: nothing that takes time.

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/magnitudes.h"
#include "bitgrad/ops/kernels/row_numbers.h"
#include "bitgrad/ops/kernels/scratch.h"
#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

template <typename Q>
__global__ void InitialValueKernel(QuantizerArgs args, bool of_scale, const float* mean, const float* largest,
                                   int64_t count, float* value) {
  ForEachElement(count, [&](int64_t i) {
    value[i] = of_scale ? InitialScale(mean[i]) : Q::InitialVariable(args, mean[i], largest[i]);
  });
}

}  // namespace

void QuantizeInitialValue(ExecContext& context, const Quantizer& quantizer, QuantizerNumber which,
                          ConstMatrixView<float> x, float* value) {
  const Granularity granularity = quantizer.granularity();
  const int64_t count = granularity == Granularity::kRow ? x.rows : 1;
  if (count == 0) return;
  const Scratch<float> mean(context, count), largest(context, count);
  MeanMagnitudes(context, granularity, x, mean.data());
  LargestMagnitudes(context, granularity, x, largest.data());
  DispatchQuantizer(quantizer.info(), [&]<typename Q>() {
    Launch(context, "quantize_initial_value", InitialValueKernel<Q>, OverElements(count), quantizer.args(),
           which == QuantizerNumber::kScale, mean.data(), largest.data(), count, value);
  });
}

void QuantizeScale(ExecContext& context, const Quantizer& quantizer, const QuantizerOperands& operands, int64_t rows,
                   float* scale) {
  const RowNumbers numbers = RowNumbersOf(quantizer, operands);
  ForElements(context, "quantize_scale", quantizer.granularity() == Granularity::kRow ? rows : 1,
              [=] __device__(int64_t i) { scale[i] = numbers.scale(i); });
}

void TrackStatistic(ExecContext& context, float momentum, const float* statistic, int64_t count, float* running) {
  ForElements(context, "track_statistic", count,
              [=] __device__(int64_t i) { running[i] += momentum * (statistic[i] - running[i]); });
}

void CombineScales(ExecContext& context, const ScaleView& a, const ScaleView& b, int64_t count, float* out) {
  ForElements(context, "combine_scales", count, [=] __device__(int64_t i) { out[i] = a.at(i) * b.at(i); });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
