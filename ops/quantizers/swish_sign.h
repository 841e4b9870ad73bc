// Sign whose surrogate is the derivative of SignSwish.
//
//   q(x) = +1 if x >= 0 else -1
//   SS_b(x) = 2 s(bx) (1 + bx (1 - s(bx))) - 1,   s the logistic function
//   Surrogate(x) = SS_b'(x) = b (2 - bx tanh(bx / 2)) / (1 + cosh(bx))
//
// The surrogate peaks at b (5 by default, against 1 for the hardtanh window: lower the learning rate),
// is zero near |x| = 2.4 / b and negative beyond.
// Source: Darabi et al., "Regularized binary network training" (BNN+), arXiv 1812.11800, section 3.3.

#ifndef BITGRAD_OPS_QUANTIZERS_SWISH_SIGN_H_
#define BITGRAD_OPS_QUANTIZERS_SWISH_SIGN_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct SwishSignQuantizer : QuantizerBase {
  static constexpr char kName[] = "swish_sign";
  static constexpr char kHelp[] =
      "+1 if x >= 0 else -1; surrogate b (2 - bx tanh(bx/2)) / (1 + cosh(bx)), b = 5 "
      "(BNN+, arXiv 1812.11800)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kParameter;
  static constexpr float kDefaultArgument = 5, kMinArgument = 0.001f, kMaxArgument = 1000;
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kBinary, 1}; }
  static constexpr float Code(float x, const QuantizerArgs&, float /*statistic*/, float /*uniform*/) {
    return SignOf(x);
  }
  static constexpr float Surrogate(float x, const QuantizerArgs& args, float /*statistic*/) {
    // With e = exp(-|bx|): 1 / (1 + cosh bx) = 2e / (1 + e)^2 and tanh(|bx|/2) = (1 - e) / (1 + e), so
    // nothing overflows however large x is.
    const float beta = args.parameter;
    const float z = std::fabs(beta * x);
    const float e = std::exp(-z);
    const float inverse = 1.0f / (1.0f + e);
    return e == 0.0f ? 0.0f : beta * (2.0f - z * (1.0f - e) * inverse) * 2.0f * e * inverse * inverse;
  }
};

// beta is in [0.001, 1000]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer SwishSign(float beta = SwishSignQuantizer::kDefaultArgument);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_SWISH_SIGN_H_
