// Stochastic rounding of gradients to signed k-bit integers, with one scale per row.
//
//   q(g) = code m / L,   code = sign(g) min(floor(|g| L / m + u), L),   L = 2^(k-1) - 1,  m = max|g| of the row,
//   u uniform in [0, 1)
//   E[q(g)] = g;  q(0) = 0, so what a window has masked stays masked;  Surrogate(g) = 1
//
// As the gradient quantizer of a linear op it makes the left operand of each product int8, for the integer GEMM: rows
// are examples in dx = dy w, and output features in dw = dy^T x (ops/linear.h).
//
// Source: Gupta et al., "Deep Learning with Limited Numerical Precision", arXiv 1502.02551, for stochastic rounding;
// scales per row as in integer GEMM libraries.

#ifndef BITGRAD_OPS_QUANTIZERS_STOCHASTIC_ROUND_H_
#define BITGRAD_OPS_QUANTIZERS_STOCHASTIC_ROUND_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct StochasticRoundQuantizer : QuantizerBase {
  static constexpr char kName[] = "stochastic_round";
  static constexpr char kHelp[] =
      "k-bit integers times max|g| / (2^(k-1) - 1) of each row, k = 2..8, unbiased stochastic rounding; for gradients, "
      "whose products with binary operands then run on int8 (arXiv 1502.02551)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 8, kMinArgument = 2, kMaxArgument = 8;
  static constexpr bool kStochastic = true;
  static constexpr Granularity kGranularity = Granularity::kRow;
  static constexpr bool kForGradients = true;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kMaxAbs; }
  static Encoding EncodingOf(const QuantizerArgs& args) { return {EncodingKind::kSigned, args.bits}; }
  static ScaleOperand ScaleOperandOf(const QuantizerArgs&) { return ScaleOperand::kStatistic; }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return LargestCode(args.bits - 1); }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, float uniform) {
    const float largest = LargestCode(args.bits - 1);
    const float t = numbers.statistic > 0.0f ? x / numbers.statistic : 0.0f;
    const float sign = t < 0.0f ? -1.0f : 1.0f;
    // By magnitude, so that +-m stay +-L for every u.
    const float c = std::floor(t * sign * largest + uniform);
    const float size = c < largest ? c : largest;
    return sign * (c > 0.0f ? size : 0.0f);
  }
  static constexpr float Surrogate(float, const QuantizerArgs&, const QuantizerNumbers&) { return 1.0f; }
};

// bits is in [2, 8]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer StochasticRound(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_STOCHASTIC_ROUND_H_
