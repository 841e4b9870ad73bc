// DoReFa-Net's gradient quantizer: stochastic, unbiased inside its range, one scale per example.
//
//   q(g) = 2 m (round((2^k - 1) (g / (2m) + 1/2) + u) / (2^k - 1) - 1/2),   m = max|g| of the row,
//   u uniform in [-1/2, 1/2);  the rounded value is clipped to 0 .. 2^k - 1
//   Surrogate(g) = 1
//
// Source: Zhou et al., "DoReFa-Net", arXiv 1606.06160, section 2.5.

#ifndef BITGRAD_OPS_QUANTIZERS_DOREFA_GRADIENT_H_
#define BITGRAD_OPS_QUANTIZERS_DOREFA_GRADIENT_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct DorefaGradientQuantizer : QuantizerBase {
  static constexpr char kName[] = "dorefa_gradient";
  static constexpr char kHelp[] =
      "k-bit stochastic rounding on [-m, m], m = max|g| of each example, k = 1..8 bits; for gradients "
      "(DoReFa-Net, arXiv 1606.06160)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 6, kMinArgument = 1, kMaxArgument = 8;
  static constexpr bool kStochastic = true;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kRowMaxAbs; }
  static Encoding EncodingOf(const QuantizerArgs& args) { return {EncodingKind::kSymmetric, args.bits}; }
  static constexpr float Scale(const QuantizerArgs& args, float statistic) {
    return statistic / LargestCode(args.bits);
  }
  static constexpr float Code(float x, const QuantizerArgs& args, float statistic, float uniform) {
    const float levels = LargestCode(args.bits);
    const float t = statistic > 0.0f ? x / (2.0f * statistic) + 0.5f : 0.5f;
    // round(v + u - 1/2) with ties up is floor(v + u).
    const float c = std::floor(levels * t + uniform);
    return 2.0f * (!(c > 0.0f) ? 0.0f : c < levels ? c : levels) - levels;
  }
  static constexpr float Surrogate(float, const QuantizerArgs&, float /*statistic*/) { return 1.0f; }
};

// REQUIRES: 1 <= bits <= 8.
Quantizer DorefaGradient(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_DOREFA_GRADIENT_H_
