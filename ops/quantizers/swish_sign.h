// Sign whose surrogate is the derivative of SignSwish.
//
//   q(x) = +1 if x >= 0 else -1
//   SS_b(x) = 2 s(bx) (1 + bx (1 - s(bx))) - 1,   s the logistic function
//   Surrogate(x) = dSS_b(x)/dx = b g(bx),     g(z) = (2 - z tanh(z / 2)) / (1 + cosh(z))
//
// The surrogate peaks at b (5 by default, against 1 for the hardtanh window: lower the learning rate),
// is zero near |x| = 2.4 / b and negative beyond.
//
// "beta=learned" makes b a variable that begins at the number in parentheses, swish_sign(5, beta=learned). The sign
// does not depend on b; what SS_b, whose derivative stands in for the sign's, does with it stands in for that, too:
// SS_b(x) is a function of z = bx alone and has the derivative g(z) with respect to z, so
//
//   VariableSurrogate(x) = dSS_b(x)/db = x g(bx)
//
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
  static constexpr bool kScalable = true;
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kBinary, 1}; }
  static constexpr float Code(float x, const QuantizerArgs&, const QuantizerNumbers&, float /*uniform*/) {
    return SignOf(x);
  }
  static constexpr float Surrogate(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    const float beta = BetaOf(args, numbers);
    return DerivativeOfSignSwish(x, beta, beta);
  }
  static QuantizerVariable VariableOf(const QuantizerArgs& args) {
    if (!args.learns_parameter) return {};
    return {.name = "beta",
            .initial = InitialVariable,
            .gradient_factor = GradientAsItIs,
            .least = kMinArgument,
            .most = kMaxArgument};
  }
  static constexpr float InitialVariable(const QuantizerArgs& args, float /*mean_abs*/, float /*max_abs*/) {
    return args.parameter;
  }
  static constexpr float VariableSurrogate(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    return DerivativeOfSignSwish(x, BetaOf(args, numbers), x);
  }

 private:
  static constexpr float BetaOf(const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    return args.learns_parameter ? numbers.variable : args.parameter;
  }
  // inner g(beta x), where `inner` is the derivative of beta x with respect to x or to beta; 0 far from 0.
  static constexpr float DerivativeOfSignSwish(float x, float beta, float inner) {
    // With e = exp(-|bx|): 1 / (1 + cosh bx) = 2e / (1 + e)^2 and tanh(|bx|/2) = (1 - e) / (1 + e), so
    // nothing overflows however large x is.
    const float z = std::fabs(beta * x);
    const float e = ExpMinus(z);
    const float inverse = 1.0f / (1.0f + e);
    return e == 0.0f ? 0.0f : inner * (2.0f - z * (1.0f - e) * inverse) * 2.0f * e * inverse * inverse;
  }
};

// beta is in [0.001, 1000]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer SwishSign(float beta = SwishSignQuantizer::kDefaultArgument);

// The same with a learned beta, which begins at `initial_beta`.
Quantizer SwishSignWithLearnedBeta(float initial_beta = SwishSignQuantizer::kDefaultArgument);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_SWISH_SIGN_H_
