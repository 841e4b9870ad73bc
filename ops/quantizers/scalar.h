// Scalar functions shared by quantizers. constexpr, so that nvcc compiles them for the device as they stand
// (--expt-relaxed-constexpr) and CPU and GPU evaluate one expression.

#ifndef BITGRAD_OPS_QUANTIZERS_SCALAR_H_
#define BITGRAD_OPS_QUANTIZERS_SCALAR_H_

#include <cmath>

#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// sigma(x) = clip((x + 1) / 2, 0, 1); NaN gives 0.
constexpr float HardSigmoid(float x) { return !(x > -1.0f) ? 0.0f : x < 1.0f ? (x + 1.0f) * 0.5f : 1.0f; }

// To the nearest integer, ties up.
constexpr float RoundHalfUp(float x) { return std::floor(x + 0.5f); }

constexpr float LargestCode(int bits) { return static_cast<float>((1 << bits) - 1); }

constexpr float SignOf(float x) { return x >= 0.0f ? 1.0f : -1.0f; }

// 1{|x| <= 1}, the derivative of hardtanh, edges included; NaN gives 0.
constexpr float HardtanhWindow(float x) { return x >= -1.0f && x <= 1.0f ? 1.0f : 0.0f; }

// The k-bit code of t in [0, 1] on the symmetric grid: 2 round((2^k - 1) t) - (2^k - 1).
constexpr float SymmetricCode(float t, int bits) {
  const float levels = LargestCode(bits);
  return 2.0f * RoundHalfUp(levels * t) - levels;
}

// Defaults that a quantizer's struct inherits and overrides by name.
struct QuantizerBase {
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kNone;
  static constexpr float kDefaultArgument = 0, kMinArgument = 0, kMaxArgument = 0;
  static constexpr bool kStochastic = false;
  static constexpr bool kSurrogateIsWindow = false;
  static constexpr bool kWeightPassThrough = false;
  static constexpr Quantizer (*kAtEvaluation)(QuantizerRole) = nullptr;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kNone; }
  static constexpr float Scale(const QuantizerArgs&, float) { return 1.0f; }
};

// The value of the quantizer with the struct Q: what the function of its .cc file returns.
template <typename Q>
Quantizer MakeQuantizer(QuantizerArgs args = {}) {
  static const QuantizerInfo& info = QuantizerNamed(Q::kName);
  return Quantizer(&info, args);
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_SCALAR_H_
