// RowNumbers: the numbers of a quantizer (QuantizerOperands) as the inner loops of kernels read them: those of row i,
// whether the tensor has one of each or one for each row. The same functions on every device.

#ifndef BITGRAD_OPS_KERNELS_ROW_NUMBERS_H_
#define BITGRAD_OPS_KERNELS_ROW_NUMBERS_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/kernels/quantize.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct RowNumbers {
  const float* statistic = nullptr;  // null where the quantizer has none
  const float* variable = nullptr;
  const float* operand = nullptr;  // the scale's; null: 1
  int64_t stride = 0;              // from row to row: 1, or 0 where all rows share the numbers
  float fixed_scale = 1, divisor = 1;
  bool scales_gradient = false;

  constexpr QuantizerNumbers of(int64_t i) const {
    return {statistic == nullptr ? 0.0f : statistic[i * stride], variable == nullptr ? 0.0f : variable[i * stride]};
  }
  // As Quantizer::scale().
  constexpr float scale(int64_t i) const { return fixed_scale * OperandOf(i) / divisor; }
  // What the backward pass multiplies with beside the surrogate.
  constexpr float gradient_scale(int64_t i) const { return scales_gradient ? fixed_scale * OperandOf(i) : 1.0f; }

 private:
  constexpr float OperandOf(int64_t i) const { return operand == nullptr ? 1.0f : operand[i * stride]; }
};

inline RowNumbers RowNumbersOf(const Quantizer& quantizer, const QuantizerOperands& operands) {
  RowNumbers numbers;
  if (quantizer.statistic() != Statistic::kNone) numbers.statistic = operands.statistic;
  if (quantizer.has_variable()) numbers.variable = operands.variable;
  switch (quantizer.scale_operand()) {
    case ScaleOperand::kOne: break;
    case ScaleOperand::kStatistic: numbers.operand = operands.statistic; break;
    case ScaleOperand::kVariable: numbers.operand = operands.variable; break;
    case ScaleOperand::kScale: numbers.operand = operands.scale; break;
  }
  numbers.stride = quantizer.granularity() == Granularity::kRow ? 1 : 0;
  numbers.fixed_scale = quantizer.args().fixed_scale;
  numbers.divisor = quantizer.scale_divisor();
  numbers.scales_gradient = quantizer.scales_gradient();
  return numbers;
}

// What QuantizeBackward multiplies the sum of a number's gradient with. `count`: the elements that share the number.
inline double VariableGradientFactor(const Quantizer& quantizer, QuantizerNumber which, int64_t count) {
  if (which == QuantizerNumber::kScale) return 1.0 / double{quantizer.scale_divisor()};
  // The sum over no element is 0 times a factor, which has to be finite.
  return quantizer.variable().gradient_factor(quantizer.args(), std::max<int64_t>(1, count));
}

// What a learned scale begins with. A tensor of zeros has no scale of its own.
constexpr float InitialScale(float mean_abs) { return mean_abs == 0.0f ? 1.0f : mean_abs; }

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_ROW_NUMBERS_H_
