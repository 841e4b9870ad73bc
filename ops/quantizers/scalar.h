// Scalar functions shared by quantizers. constexpr, so that nvcc compiles them for the device as they stand
// (--expt-relaxed-constexpr) and CPU and GPU evaluate one expression.

#ifndef BITGRAD_OPS_QUANTIZERS_SCALAR_H_
#define BITGRAD_OPS_QUANTIZERS_SCALAR_H_

#include <bit>
#include <cmath>
#include <cstdint>

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

// t in [0, 1]; NaN gives 0.
constexpr float ClipToUnit(float t) { return !(t > 0.0f) ? 0.0f : t < 1.0f ? t : 1.0f; }

// e^-size = 2^power (1 + rest) for size in [0, 87], in parts. Written out, because a loop over it
// vectorizes, which one over std::exp or std::tanh does not (ten times faster), and because all devices get the same
// bits.
//
//   power = -size / ln 2 rounded to a whole number n,   rest = e^r - 1 for r = -size - n ln 2 in [-0.35, 0.35]
//
// rest is its Taylor series, cut off where the next term is below half a unit in the last place.
struct ExpParts {
  float power;  // 2^n
  float rest;
};
constexpr ExpParts ExpOfMinus(float size) {
  const float y = -size;
  // In 1.5 * 2^23 + n the last bits of the float are n.
  constexpr float kWhole = 12582912.0f, kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  const float shifted = y * kLog2E + kWhole;
  const float n = shifted - kWhole;
  const float power = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + 0x3f800000u);
  const float r = (y - n * kLn2High) - n * kLn2Low;
  float p = 1.0f / 5040;
  for (const float coefficient : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f}) p = p * r + coefficient;
  return {power, p * r};
}

// e^-size for size >= 0, with an error of less than three units in the last place; 0 beyond 87, where it is below
// 1.7e-38. NaN stays NaN.
constexpr float ExpMinus(float size) {
  const ExpParts parts = ExpOfMinus(size > 87.0f ? 87.0f : size);
  const float e = parts.power * parts.rest + parts.power;
  return size > 87.0f ? 0.0f : e;
}

// tanh(x), with an error of less than three units in the last place; NaN stays NaN.
//
//   tanh |x| = -E / (2 + E),   E = e^(-2 |x|) - 1
constexpr float Tanh(float x) {
  // Beyond 10 the result is 1 in float.
  const float size = x < 0.0f ? -x : x;
  const auto [power, rest] = ExpOfMinus(2.0f * (size > 10.0f ? 10.0f : size));
  const float e = power * rest + (power - 1.0f);
  const float t = -e / (2.0f + e);
  return x < 0.0f ? -t : t;
}

// Defaults that a quantizer's struct inherits and overrides by name.
struct QuantizerBase {
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kNone;
  static constexpr float kDefaultArgument = 0, kMinArgument = 0, kMaxArgument = 0;
  static constexpr float kMinWeightArgument = 0;  // where it is more than kMinArgument
  static constexpr bool kStochastic = false;
  static constexpr bool kSurrogateIsWindow = false;
  static constexpr bool kWeightPassThrough = false;
  static constexpr bool kScalable = false;
  static constexpr bool kMonotone = true;
  static constexpr bool kClipsLatent = true;
  static constexpr bool kDifferentiatesStatistic = false;
  static constexpr Granularity kGranularity = Granularity::kTensor;
  static constexpr bool kForGradients = false;
  static constexpr bool kHasExponentWindow = false;
  static constexpr bool kZeroIsOptional = false;
  static constexpr Quantizer (*kAtEvaluation)(QuantizerRole) = nullptr;
  static constexpr Quantizer (*kHardened)(const QuantizerArgs&, float) = nullptr;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kNone; }
  static ScaleOperand ScaleOperandOf(const QuantizerArgs&) { return ScaleOperand::kOne; }
  static constexpr float ScaleDivisor(const QuantizerArgs&) { return 1.0f; }
  // A form with a variable overrides these three; its VariableOf names InitialVariable.
  static QuantizerVariable VariableOf(const QuantizerArgs&) { return {}; }
  static constexpr float InitialVariable(const QuantizerArgs&, float /*mean_abs*/, float /*max_abs*/) { return 0.0f; }
  static constexpr float VariableSurrogate(float, const QuantizerArgs&, const QuantizerNumbers&) { return 0.0f; }
};

// QuantizerVariable::gradient_factor of a gradient that is taken as it comes.
inline float GradientAsItIs(const QuantizerArgs&, int64_t) { return 1.0f; }

// The value of the quantizer with the struct Q: what the function of its .cc file returns.
template <typename Q>
Quantizer MakeQuantizer(QuantizerArgs args = {}) {
  static const QuantizerInfo& info = QuantizerNamed(Q::kName);
  return Quantizer(&info, args);
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_SCALAR_H_
