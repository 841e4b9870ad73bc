// Stochastic ternarization (TernaryConnect).
//
//   q(x) = sign(x) with probability min(|x|, 1), else 0;   E[q(x)] = clip(x, -1, 1)
//   Surrogate(x) = 1{|x| <= 1}            as a weight quantizer: 1
//
// Evaluation uses the real weights and, for activations, the deterministic ternary.
// Source: Lin et al., "Neural networks with few multiplications", arXiv 1510.03009, section 3.

#ifndef BITGRAD_OPS_QUANTIZERS_STOCHASTIC_TERNARY_H_
#define BITGRAD_OPS_QUANTIZERS_STOCHASTIC_TERNARY_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

Quantizer StochasticTernaryAtEvaluation(QuantizerRole role);

struct StochasticTernaryQuantizer : QuantizerBase {
  static constexpr char kName[] = "stochastic_ternary";
  static constexpr char kHelp[] =
      "sign(x) with probability min(|x|, 1) else 0; surrogate 1{|x| <= 1}; evaluated as ternary "
      "(activations) or in full precision (weights) (TernaryConnect, arXiv 1510.03009)";
  static constexpr bool kStochastic = true;
  static constexpr bool kSurrogateIsWindow = true;
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;
  static constexpr Quantizer (*kAtEvaluation)(QuantizerRole) = StochasticTernaryAtEvaluation;
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kTernary, 2}; }
  static constexpr float Code(float x, const QuantizerArgs&, const QuantizerNumbers&, float uniform) {
    return uniform < x ? 1.0f : uniform < -x ? -1.0f : 0.0f;
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) { return HardtanhWindow(x); }
};

Quantizer StochasticTernary();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_STOCHASTIC_TERNARY_H_
