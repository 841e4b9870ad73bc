// QNN's logarithmic quantizer.
//
//   q(x) = sign(x) min(AP2(|x|), 1),   AP2(x) = 2^round(log2 x)      the point of decision is sqrt(2) times a power
//   and 0 where AP2(|x|) < 2^(2 - 2^(k-1)): of 2^k codes one is the sign's, one is 0, the others are exponents
//   Surrogate(x) = 1{|x| <= 1}            as a weight quantizer: 1
//
// k = 2 is {-1, 0, 1}, k = 4 has the sizes 2^-6 .. 1. With "zero=false" there is one more size, 2^(1 - 2^(k-1)), which
// everything below it has, with the sign of x, and 0 a positive one: k = 2 is {-1, -1/2, 1/2, 1}.
//
// The codes are the integers q(x) / the least size, so weights and activations multiply as integers. NaN gives the code
// 0 or, where that is none, the lowest one. Values are floats, and NaN stays NaN, of gradients and where the largest
// code would be more than a product can use: 2^63 of a weight (k = 7 without 0), 2^31 of an activation (k = 7, without
// 0 k > 5). Source: Hubara et al., "Quantized Neural Networks", arXiv 1609.07061, section 5.

#ifndef BITGRAD_OPS_QUANTIZERS_LOG_QUANT_H_
#define BITGRAD_OPS_QUANTIZERS_LOG_QUANT_H_

#include "bitgrad/ops/quantizers/power_of_two.h"
#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct LogQuantizer : QuantizerBase {
  static constexpr char kName[] = "log_quant";
  static constexpr char kHelp[] =
      "sign(x) 2^round(log2 |x|), at most 1, and 0 below 2^(2 - 2^(k-1)), k = 2..7 bits; zero=false: at least "
      "2^(1 - 2^(k-1)) instead; surrogate 1{|x| <= 1} (QNN, arXiv 1609.07061)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 4, kMinArgument = 2, kMaxArgument = 7;
  static constexpr bool kSurrogateIsWindow = true;
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;
  static constexpr bool kZeroIsOptional = true;
  // The exponent of the largest code.
  static constexpr int MostExponent(const QuantizerArgs& args) { return (1 << (args.bits - 1)) - (args.zero ? 2 : 1); }
  static constexpr bool HasCodes(const QuantizerArgs& args) {
    if (args.role == QuantizerRole::kGradient) return false;
    return MostExponent(args) <= (args.role == QuantizerRole::kWeight ? 62 : 30);
  }
  static Encoding EncodingOf(const QuantizerArgs& args) {
    if (!HasCodes(args)) return {EncodingKind::kPowerOfTwo, args.bits};
    if (!args.zero) return {EncodingKind::kLogNonzero, args.bits};
    return {args.bits == 2 ? EncodingKind::kTernary : EncodingKind::kLog, args.bits};
  }
  // The least size that is not 0.
  static constexpr float Least(const QuantizerArgs& args) { return PowerOfTwo(-MostExponent(args)); }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return HasCodes(args) ? 1.0f / Least(args) : 1.0f; }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers&, float /*uniform*/) {
    const float power = NearestPower(Magnitude(x)), least = Least(args);
    const float size = power < least ? (args.zero ? 0.0f : least) : power < 1.0f ? power : 1.0f;
    const float value = WithSignOf(size, x < 0.0f && size > 0.0f ? -1.0f : 1.0f) * ScaleDivisor(args);
    const float of_nan = !HasCodes(args) ? x : args.zero ? 0.0f : -ScaleDivisor(args);
    return x == x ? value : of_nan;
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) { return HardtanhWindow(x); }
};

// bits is in [2, 7]; otherwise status() of the quantizer says so, and every op refuses it. zero: whether 0 is a value.
Quantizer LogQuant(int bits, bool zero = true);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_LOG_QUANT_H_
