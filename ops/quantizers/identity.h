// No quantization: q(x) = x, Surrogate(x) = 1.

#ifndef BITGRAD_OPS_QUANTIZERS_IDENTITY_H_
#define BITGRAD_OPS_QUANTIZERS_IDENTITY_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct IdentityQuantizer : QuantizerBase {
  static constexpr char kName[] = "identity";
  static constexpr char kHelp[] = "x itself, full precision; surrogate 1";
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;  // what stochastic_sign(scale=learned) is evaluated with
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kFloat, 32}; }
  static constexpr float Code(float x, const QuantizerArgs&, const QuantizerNumbers&, float) { return x; }
  static constexpr float Surrogate(float, const QuantizerArgs&, const QuantizerNumbers&) { return 1.0f; }
};

Quantizer Identity();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_IDENTITY_H_
