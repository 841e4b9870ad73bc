// The backward pass of quantizers: with respect to what was quantized, to a form's variable and to a learned scale, in
// one pass over x and dq, whose reading is what it costs. Sums run over pieces of rows in a fixed order.

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/row_numbers.h"
#include "bitgrad/ops/quantizers/list.h"

#ifndef BITGRAD_OPS_CPU_QUANTIZE_GRADIENT_SHARED_
#define BITGRAD_OPS_CPU_QUANTIZE_GRADIENT_SHARED_
namespace bitgrad::cpu {

struct WantedSums {
  bool variable;
  bool scale;
};

// The sums of dq * VariableSurrogate(x) and of dq * Code(x); 0 where not wanted.
struct NumberSums {
  double variable = 0;
  double scale = 0;

  NumberSums& operator+=(const NumberSums& other) {
    variable += other.variable;
    scale += other.scale;
    return *this;
  }
};

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_QUANTIZE_GRADIENT_SHARED_

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/quantize_gradient.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"
#include "bitgrad/ops/cpu/quantize_piece-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// dx = dq * Surrogate(x) * scale
template <typename Q>
HWY_INLINE void MultiplyBySurrogate(const QuantizePiece& piece, int64_t offset, int64_t count, float scale,
                                    const float* dq, float* dx) {
  const QuantizerNumbers numbers = piece.numbers;
  const float* const x = piece.x + offset;
  ForFormula<Q>(piece.quantizer->args(), [=](const QuantizerArgs& args) {
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) dx[j] = dq[j] * Q::Surrogate(x[j], args, numbers) * scale;
  });
}

HWY_INLINE void MultiplyByScale(const float* dq, int64_t count, float scale, float* dx) {
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

// The sum of dq * factors. The factors are computed into a buffer first: together with the sum, the compiler would not
// vectorize them.
HWY_INLINE double SumOfProducts(const float* factors, const float* dq, int64_t count) {
  return LaneSum(count, [=](int64_t j) { return static_cast<double>(dq[j]) * factors[j]; });
}

// dx = dq * Surrogate(x) * scale, or dq * scale, and the sums that are wanted.
NumberSums BackwardOfPiece(const QuantizePiece& piece, const uint64_t* signs, const WantedSums& wanted,
                           bool pass_through, float scale, const float* dq, float* dx) {
  NumberSums sums;
  DispatchQuantizer(piece.quantizer->info(), [&]<typename Q>() {
    alignas(64) float factors[Uniforms::kCount];
    for (int64_t begin = 0; begin < piece.count; begin += Uniforms::kCount) {
      const int64_t count = std::min(Uniforms::kCount, piece.count - begin);
      if (wanted.variable) {
        VariableSurrogates<Q>(piece, begin, count, factors);
        sums.variable += SumOfProducts(factors, dq + begin, count);
      }
      if (wanted.scale) {
        if (signs != nullptr) {
          UnpackSignSegment(signs + begin / 64, count, factors);
        } else {
          Codes<Q>(piece, begin, count, 1.0f, factors);
        }
        sums.scale += SumOfProducts(factors, dq + begin, count);
      }
      // Last, because dx may be dq.
      if (dx == nullptr) continue;
      if (pass_through) {
        MultiplyByScale(dq + begin, count, scale, dx + begin);
      } else {
        MultiplyBySurrogate<Q>(piece, begin, count, scale, dq + begin, dx + begin);
      }
    }
  });
  return sums;
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(AddBySign);
HWY_EXPORT(BackwardOfPiece);

}  // namespace

void QuantizeBackward(ExecContext& context, const Quantizer& quantizer, bool pass_through, ConstMatrixView<float> x,
                      ConstBitMatrixView signs, const QuantizerOperands& operands, const RngStream& rng,
                      ConstMatrixView<float> dq, MatrixView<float> dx, const QuantizerGradients& gradients) {
  BITGRAD_DCHECK(x.rows == dq.rows && x.cols == dq.cols &&
                 (dx.data == nullptr || (x.rows == dx.rows && x.cols == dx.cols)));
  const RowNumbers numbers = RowNumbersOf(quantizer, operands);
  const WantedSums wanted = {gradients.variable != nullptr, gradients.scale != nullptr};
  const auto backward = [&](int64_t i, int64_t begin, int64_t end) {
    const QuantizePiece piece = {&quantizer, x.row(i) + begin, end - begin, numbers.of(i), &rng, i * x.cols + begin};
    // Sums are over whole rows, whose first bit begins a word.
    const uint64_t* const row_signs = wanted.scale && signs.words != nullptr ? signs.row(i) : nullptr;
    return HWY_DYNAMIC_DISPATCH(BackwardOfPiece)(piece, row_signs, wanted, pass_through, numbers.gradient_scale(i),
                                                 dq.row(i) + begin, dx.data == nullptr ? nullptr : dx.row(i) + begin);
  };
  if (!wanted.variable && !wanted.scale) {
    const bool flat = x.contiguous() && dq.contiguous() && dx.contiguous() && numbers.stride == 0;
    ForEachSegment(context.threads(), x.rows, x.cols, flat, backward);
    return;
  }
  const bool per_row = quantizer.granularity() == Granularity::kRow;
  const int64_t count = per_row ? x.cols : x.size();
  const auto store = [&](int64_t i, const NumberSums& sums) {
    // The form's variable acts on the value through the scale; the scale acts on it directly.
    if (wanted.variable) {
      const double factor = VariableGradientFactor(quantizer, QuantizerNumber::kVariable, count);
      gradients.variable[i] = static_cast<float>(factor * numbers.gradient_scale(i) * sums.variable);
    }
    if (wanted.scale) {
      const double factor = VariableGradientFactor(quantizer, QuantizerNumber::kScale, count);
      gradients.scale[i] = static_cast<float>(factor * sums.scale);
    }
  };
  // Without elements there are no blocks to sum over, however many rows there are.
  if (x.size() == 0 && !per_row) return store(0, {});
  if (per_row) {
    ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) store(i, backward(i, 0, x.cols));
    });
    return;
  }
  store(0, SumOverBlocks(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
          NumberSums sums;
          for (int64_t i = begin; i < end; ++i) sums += backward(i, 0, x.cols);
          return sums;
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
