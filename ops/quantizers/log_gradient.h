// Logarithmic quantizer of gradients: a sign and an exponent, stochastic and unbiased.
//
//   q(g) = sign(g) 2^e,   e floor or ceiling of log2 |g|, at random so that E[q(g)] = g
//   with the 2^(k-1) - 1 exponents up to E = ceil(log2 max|g|), none below -126; below the least, 2^least at random,
//   else 0
//   Surrogate(g) = 1
//
// The maximum is over the tensor, or over each row (per_output). With k = 6 the 31 exponents reach down to 2^-30 of it.
// Where it is not finite all values are NaN. QNN's text names 6 bits and a logarithmic quantizer but not how it rounds;
// exponents from the ceiling of the logarithm, not the floor, and stochastic rounding keep it unbiased.
//
// Source: Hubara et al., "Quantized Neural Networks", arXiv 1609.07061, section 5; the rounding is that of
// exponential_round.h.

#ifndef BITGRAD_OPS_QUANTIZERS_LOG_GRADIENT_H_
#define BITGRAD_OPS_QUANTIZERS_LOG_GRADIENT_H_

#include <limits>

#include "bitgrad/ops/quantizers/power_of_two.h"
#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct LogGradientQuantizer : QuantizerBase {
  static constexpr char kName[] = "log_gradient";
  static constexpr char kHelp[] =
      "sign(g) 2^e at random, unbiased, in k = 3..7 bits below max|g|; for gradients (QNN, arXiv 1609.07061)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 6, kMinArgument = 3, kMaxArgument = 7;
  static constexpr bool kStochastic = true;
  static constexpr bool kForGradients = true;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kMaxAbs; }
  static Encoding EncodingOf(const QuantizerArgs& args) { return {EncodingKind::kPowerOfTwo, args.bits}; }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, float uniform) {
    constexpr float kLeastNormal = 0x1p-126f;
    const float max = numbers.statistic, below = PowerBelow(max);
    const float half_of_top = max > below ? below : 0.5f * below;
    const float least = half_of_top * PowerOfTwo(3 - (1 << (args.bits - 1)));
    const float rounded = RandomPower(Magnitude(x), least > kLeastNormal ? least : kLeastNormal, half_of_top, uniform);
    return max <= std::numeric_limits<float>::max() && x == x ? WithSignOf(rounded, rounded > 0.0f ? x : 0.0f)
                                                              : std::numeric_limits<float>::quiet_NaN();
  }
  static constexpr float Surrogate(float, const QuantizerArgs&, const QuantizerNumbers&) { return 1.0f; }
};

// bits is in [3, 7]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer LogGradient(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_LOG_GRADIENT_H_
