// Deterministic binarization with the hardtanh straight-through estimator.
//
//   q(x) = +1 if x >= 0 else -1           (q(-0.0) = +1, q(NaN) = -1)
//   Surrogate(x) = 1{|x| <= 1}            as a weight quantizer: 1
//
// Source: Hubara et al., "Binarized neural networks", arXiv 1602.02830, section 1.

#ifndef BITGRAD_OPS_QUANTIZERS_SIGN_H_
#define BITGRAD_OPS_QUANTIZERS_SIGN_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct SignQuantizer : QuantizerBase {
  static constexpr char kName[] = "sign";
  static constexpr char kHelp[] = "+1 if x >= 0 else -1; surrogate 1{|x| <= 1} (BNN, arXiv 1602.02830)";
  static constexpr bool kSurrogateIsWindow = true;
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kBinary, 1}; }
  static constexpr float Code(float x, const QuantizerArgs&, const QuantizerNumbers&, float /*uniform*/) {
    return SignOf(x);
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) { return HardtanhWindow(x); }
};

Quantizer Sign();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_SIGN_H_
