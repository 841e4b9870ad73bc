// Stochastic exponential rounding, for the inputs of products that make weight gradients (quantized backpropagation).
//
//   q(x) = sign(x) 2^(k + [u < |x| / 2^k - 1]),   k = floor(log2 |x|),   u uniform in [0, 1)
//   E[q(x)] = x;  q(0) = 0;  NaN stays NaN
//   Surrogate(x) = 1
//
// Evaluation uses the real values, where it is an operand's quantizer.
//
// With "least=E" and "most=F" k is first clipped to [E, F], as the paper limits the shifts of its convolutions to
// [-4, 3]: values are then 0 and +-2^E .. +-2^(F+1). Below 2^E the value is 2^E with probability |x| / 2^E and else 0,
// so that the mean stays; above 2^(F+1) it is 2^(F+1).
//
// The authors' code differs in its convolutions: everything of a size below 2^E becomes 2^E, with the sign of x and for
// 0 a negative one, so that the zeros of a ReLU count as -2^E. "as_authors" does the same.
//
// Source: Lin et al., "Neural networks with few multiplications", arXiv 1510.03009, section 4.

#ifndef BITGRAD_OPS_QUANTIZERS_EXPONENTIAL_ROUND_H_
#define BITGRAD_OPS_QUANTIZERS_EXPONENTIAL_ROUND_H_

#include "bitgrad/ops/quantizers/power_of_two.h"
#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

// The real values.
Quantizer ExponentialRoundAtEvaluation(QuantizerRole role);

struct ExponentialRoundQuantizer : QuantizerBase {
  static constexpr char kName[] = "exponential_round";
  static constexpr char kHelp[] =
      "sign(x) 2^e, e floor or ceiling of log2 |x| at random, unbiased, 0 stays 0; least=E, "
      "most=F: limits of the floor; as_authors: below 2^E it is 2^E; surrogate 1 (quantized backpropagation, arXiv "
      "1510.03009)";
  static constexpr bool kStochastic = true;
  static constexpr bool kClipsLatent = false;
  static constexpr bool kHasExponentWindow = true;
  static constexpr Quantizer (*kAtEvaluation)(QuantizerRole) = ExponentialRoundAtEvaluation;
  static Encoding EncodingOf(const QuantizerArgs& args) {
    const ExponentWindow& window = args.exponents;
    return {EncodingKind::kPowerOfTwo, LogBits(window.most + 1 - window.least + 1)};
  }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers&, float uniform) {
    const float least = PowerOfTwo(args.exponents.least), size = Magnitude(x);
    const float rounded = RandomPower(size, least, PowerOfTwo(args.exponents.most), uniform);
    const float unbiased = x == x ? WithSignOf(rounded, rounded > 0.0f ? x : 0.0f) : x;
    return args.exponents.as_authors && size < least ? (x > 0.0f ? least : -least) : unbiased;
  }
  static constexpr float Surrogate(float, const QuantizerArgs&, const QuantizerNumbers&) { return 1.0f; }
};

Quantizer ExponentialRound(const ExponentWindow& window = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_EXPONENTIAL_ROUND_H_
