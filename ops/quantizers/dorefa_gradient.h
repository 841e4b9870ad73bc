// DoReFa-Net's gradient quantizer: stochastic, unbiased inside its range, one scale per row.
//
//   q(g) = 2 m (round((2^k - 1) (g / (2m) + 1/2) + u) / (2^k - 1) - 1/2),   m = max|g| of the row,
//   u uniform in [-1/2, 1/2);  the rounded value is clipped to 0 .. 2^k - 1
//   Surrogate(g) = 1
//
// What a row is depends on the op that the gradient enters. For a convolution it is an example, as in the paper and in
// its TensorFlow code (tensorpack). A linear op and Quantize see a gradient of any rank as a matrix [rows, n] of its
// last dimension: for [B, n] a row is an example as well, but for [B, T, n] each of the B * T rows has its own scale.
//
// Source: Zhou et al., "DoReFa-Net", arXiv 1606.06160, section 2.5.

#ifndef BITGRAD_OPS_QUANTIZERS_DOREFA_GRADIENT_H_
#define BITGRAD_OPS_QUANTIZERS_DOREFA_GRADIENT_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct DorefaGradientQuantizer : QuantizerBase {
  static constexpr char kName[] = "dorefa_gradient";
  static constexpr char kHelp[] =
      "k-bit stochastic rounding on [-m, m], m = max|g| of each row, k = 1..8 bits; for gradients "
      "(DoReFa-Net, arXiv 1606.06160)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 6, kMinArgument = 1, kMaxArgument = 8;
  static constexpr bool kStochastic = true;
  static constexpr Granularity kGranularity = Granularity::kRow;
  static constexpr bool kForGradients = true;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kMaxAbs; }
  static Encoding EncodingOf(const QuantizerArgs& args) { return {EncodingKind::kSymmetric, args.bits}; }
  static ScaleOperand ScaleOperandOf(const QuantizerArgs&) { return ScaleOperand::kStatistic; }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return LargestCode(args.bits); }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, float uniform) {
    const float levels = LargestCode(args.bits);
    // Half of x / m rather than x / (2m), which is the same number: 2m overflows for m > 1.7e38.
    const float t = numbers.statistic > 0.0f ? x / numbers.statistic * 0.5f + 0.5f : 0.5f;
    // round(v + u - 1/2) with ties up is floor(v + u).
    const float c = std::floor(levels * t + uniform);
    return 2.0f * (!(c > 0.0f) ? 0.0f : c < levels ? c : levels) - levels;
  }
  static constexpr float Surrogate(float, const QuantizerArgs&, const QuantizerNumbers&) { return 1.0f; }
};

// bits is in [1, 8]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer DorefaGradient(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_DOREFA_GRADIENT_H_
