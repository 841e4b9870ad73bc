// A step from 0 to 1.
//
//   q(x) = 1 if x > 0 else 0              (q(0) = q(-0.0) = 0, as Larq's; q(NaN) = 0)
//   Surrogate(x) = 1{|x| <= 1}            as a weight quantizer: 1
//
// Source: the quantizer of that name in Larq's list (SteHeaviside); the surrogate is that of sign.

#ifndef BITGRAD_OPS_QUANTIZERS_HEAVISIDE_H_
#define BITGRAD_OPS_QUANTIZERS_HEAVISIDE_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct HeavisideQuantizer : QuantizerBase {
  static constexpr char kName[] = "heaviside";
  static constexpr char kHelp[] = "1 if x > 0 else 0; surrogate 1{|x| <= 1} (as in Larq)";
  static constexpr bool kSurrogateIsWindow = true;
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kUnsigned, 1}; }
  static constexpr float Code(float x, const QuantizerArgs&, const QuantizerNumbers&, float /*uniform*/) {
    return x > 0.0f ? 1.0f : 0.0f;
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) { return HardtanhWindow(x); }
};

Quantizer Heaviside();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_HEAVISIDE_H_
