// Deterministic ternarization with fixed thresholds.
//
//   q(x) = sign(x) if |x| > t else 0      t = 0.5 by default; NaN gives 0
//   Surrogate(x) = 1{|x| <= 1}            as a weight quantizer: 1
//
// Source: Lin et al., "Neural networks with few multiplications", arXiv 1510.03009 (deterministic variant).

#ifndef BITGRAD_OPS_QUANTIZERS_TERNARY_H_
#define BITGRAD_OPS_QUANTIZERS_TERNARY_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct TernaryQuantizer : QuantizerBase {
  static constexpr char kName[] = "ternary";
  static constexpr char kHelp[] = "sign(x) if |x| > t else 0, t = 0.5; surrogate 1{|x| <= 1} (arXiv 1510.03009)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kParameter;
  static constexpr float kDefaultArgument = 0.5f, kMinArgument = 0, kMaxArgument = 0.999f;
  static constexpr bool kSurrogateIsWindow = true;
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kTernary, 2}; }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers&, float /*uniform*/) {
    return x > args.parameter ? 1.0f : x < -args.parameter ? -1.0f : 0.0f;
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) { return HardtanhWindow(x); }
};

// threshold is in [0, 0.999]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer Ternary(float threshold = TernaryQuantizer::kDefaultArgument);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_TERNARY_H_
