// The backward pass of quantizers: with respect to what was quantized, to a form's variable and to a learned scale. The
// sums of the latter run over pieces of rows in a fixed order, at the speed of reading x and dq.

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/row_numbers.h"
#include "bitgrad/ops/quantizers/list.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/quantize_gradient.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/quantize_piece-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// dx = dq * Surrogate(x) * scale
void MultiplyBySurrogate(const QuantizePiece& piece, float scale, const float* dq, float* dx) {
  DispatchQuantizer(piece.quantizer->info(), [&]<typename Q>() {
    const QuantizerNumbers numbers = piece.numbers;
    const float* const x = piece.x;
    const int64_t count = piece.count;
    ForFormula<Q>(piece.quantizer->args(), [=](const QuantizerArgs& args) {
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) dx[j] = dq[j] * Q::Surrogate(x[j], args, numbers) * scale;
    });
  });
}

void MultiplyByScale(const float* dq, int64_t count, float scale, float* dx) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) dx[j] = dq[j] * scale;
}

void AddBySign(const float* x, int64_t count, float value, float* dx) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) dx[j] += x[j] >= 0.0f ? value : -value;
}

template <typename Q>
HWY_INLINE void VariableSurrogates(const QuantizePiece& piece, int64_t offset, int64_t count, float* y) {
  const QuantizerNumbers numbers = piece.numbers;
  const float* const x = piece.x + offset;
  ForFormula<Q>(piece.quantizer->args(), [=](const QuantizerArgs& args) {
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) y[j] = Q::VariableSurrogate(x[j], args, numbers);
  });
}

// The sum of dq * VariableSurrogate(x), or of dq * Code(x). The factors are computed into a buffer first: together with
// the sum, the compiler would not vectorize them.
double SumOfProducts(const QuantizePiece& piece, QuantizerNumber which, const float* dq) {
  double sum = 0;
  DispatchQuantizer(piece.quantizer->info(), [&]<typename Q>() {
    float factors[Uniforms::kCount];
    for (int64_t begin = 0; begin < piece.count; begin += Uniforms::kCount) {
      const int64_t count = std::min(Uniforms::kCount, piece.count - begin);
      if (which == QuantizerNumber::kVariable) {
        VariableSurrogates<Q>(piece, begin, count, factors);
      } else {
        Codes<Q>(piece, begin, count, 1.0f, factors);
      }
      const float* const gradients = dq + begin;
      sum +=
          LaneSum(count, [&factors, gradients](int64_t j) { return static_cast<double>(gradients[j]) * factors[j]; });
    }
  });
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(MultiplyBySurrogate);
HWY_EXPORT(MultiplyByScale);
HWY_EXPORT(AddBySign);
HWY_EXPORT(SumOfProducts);

}  // namespace

void QuantizeBackward(ExecContext& context, const Quantizer& quantizer, bool pass_through, ConstMatrixView<float> x,
                      const QuantizerOperands& operands, ConstMatrixView<float> dq, MatrixView<float> dx) {
  BITGRAD_DCHECK(x.rows == dq.rows && x.cols == dq.cols && x.rows == dx.rows && x.cols == dx.cols);
  const RowNumbers numbers = RowNumbersOf(quantizer, operands);
  const bool flat = x.contiguous() && dq.contiguous() && dx.contiguous() && numbers.stride == 0;
  ForEachSegment(context.threads(), x.rows, x.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    const float scale = numbers.gradient_scale(i);
    if (pass_through) {
      HWY_DYNAMIC_DISPATCH(MultiplyByScale)(dq.row(i) + begin, end - begin, scale, dx.row(i) + begin);
      return;
    }
    const QuantizePiece piece = {&quantizer, x.row(i) + begin, end - begin, numbers.of(i), nullptr, 0};
    HWY_DYNAMIC_DISPATCH(MultiplyBySurrogate)(piece, scale, dq.row(i) + begin, dx.row(i) + begin);
  });
}

void QuantizeVariableGradient(ExecContext& context, const Quantizer& quantizer, QuantizerNumber which,
                              ConstMatrixView<float> x, const QuantizerOperands& operands, const RngStream& rng,
                              ConstMatrixView<float> dq, float* gradient) {
  BITGRAD_DCHECK(x.rows == dq.rows && x.cols == dq.cols);
  const RowNumbers numbers = RowNumbersOf(quantizer, operands);
  const bool per_row = quantizer.granularity() == Granularity::kRow;
  const double factor = VariableGradientFactor(quantizer, which, per_row ? x.cols : x.size());
  const auto sum_of_row = [&](int64_t i) {
    const QuantizePiece piece = {&quantizer, x.row(i), x.cols, numbers.of(i), &rng, i * x.cols};
    return HWY_DYNAMIC_DISPATCH(SumOfProducts)(piece, which, dq.row(i));
  };
  // The form's variable acts on the value through the scale; the scale acts on it directly.
  const auto finish = [&](int64_t i, double sum) {
    const double scale = which == QuantizerNumber::kVariable ? numbers.gradient_scale(i) : 1.0f;
    gradient[i] = static_cast<float>(factor * scale * sum);
  };
  if (per_row) {
    ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) finish(i, sum_of_row(i));
    });
    return;
  }
  finish(0, SumOverBlocks(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
           double sum = 0;
           for (int64_t i = begin; i < end; ++i) sum += sum_of_row(i);
           return sum;
         }));
}

void QuantizeStatisticBackward(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                               const float* gradient, MatrixView<float> dx) {
  BITGRAD_DCHECK(quantizer.statistic() == Statistic::kMeanAbs);
  BITGRAD_DCHECK(x.rows == dx.rows && x.cols == dx.cols);
  const bool per_row = quantizer.granularity() == Granularity::kRow;
  const float count = static_cast<float>(per_row ? x.cols : x.size());
  const bool flat = x.contiguous() && dx.contiguous() && !per_row;
  ForEachSegment(context.threads(), x.rows, x.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AddBySign)
    (x.row(i) + begin, end - begin, gradient[per_row ? i : 0] / count, dx.row(i) + begin);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
