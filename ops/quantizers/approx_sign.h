// Sign with a piecewise-linear surrogate (the derivative of a piecewise-quadratic approximation of sign).
//
//   q(x) = +1 if x >= 0 else -1
//   Surrogate(x) = 2 - 2|x| if |x| < 1 else 0
//
// Source: Liu et al., "Bi-Real Net", arXiv 1808.00278, section 3.2.

#ifndef BITGRAD_OPS_QUANTIZERS_APPROX_SIGN_H_
#define BITGRAD_OPS_QUANTIZERS_APPROX_SIGN_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct ApproxSignQuantizer : QuantizerBase {
  static constexpr char kName[] = "approx_sign";
  static constexpr char kHelp[] = "+1 if x >= 0 else -1; surrogate max(0, 2 - 2|x|) (Bi-Real Net, arXiv 1808.00278)";
  static constexpr bool kScalable = true;
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kBinary, 1}; }
  static constexpr float Code(float x, const QuantizerArgs&, const QuantizerNumbers&, float /*uniform*/) {
    return SignOf(x);
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) {
    return x > -1.0f && x < 1.0f ? 2.0f - 2.0f * (x < 0.0f ? -x : x) : 0.0f;
  }
};

Quantizer ApproxSign();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_APPROX_SIGN_H_
