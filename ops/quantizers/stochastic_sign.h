// Stochastic binarization.
//
//   q(x) = +1 with probability sigma(x) = clip((x + 1) / 2, 0, 1), else -1;  E[q(x)] = clip(x, -1, 1)
//   Surrogate(x) = 1{|x| <= 1}            as a weight quantizer: 1
//
// One sample per training step, shared by the batch. Evaluation uses the real weights (BinaryConnect
// section 2.3) and, for activations, the deterministic sign (BNN section 1).
// Source: Courbariaux et al., "BinaryConnect", arXiv 1511.00363, section 2.2.

#ifndef BITGRAD_OPS_QUANTIZERS_STOCHASTIC_SIGN_H_
#define BITGRAD_OPS_QUANTIZERS_STOCHASTIC_SIGN_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

Quantizer StochasticSignAtEvaluation(QuantizerRole role);

struct StochasticSignQuantizer : QuantizerBase {
  static constexpr char kName[] = "stochastic_sign";
  static constexpr char kHelp[] =
      "+1 with probability clip((x+1)/2, 0, 1) else -1; surrogate 1{|x| <= 1}; evaluated as sign "
      "(activations) or in full precision (weights) (BinaryConnect, arXiv 1511.00363)";
  static constexpr bool kStochastic = true;
  static constexpr bool kSurrogateIsWindow = true;
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;
  static constexpr Quantizer (*kAtEvaluation)(QuantizerRole) = StochasticSignAtEvaluation;
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kBinary, 1}; }
  static constexpr float Code(float x, const QuantizerArgs&, const QuantizerNumbers&, float uniform) {
    return uniform < HardSigmoid(x) ? 1.0f : -1.0f;
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) { return HardtanhWindow(x); }
};

Quantizer StochasticSign();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_STOCHASTIC_SIGN_H_
