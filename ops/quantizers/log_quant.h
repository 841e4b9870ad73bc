// QNN's logarithmic quantizer.
//
//   q(x) = sign(x) min(AP2(|x|), 1),   AP2(x) = 2^round(log2 x)      the point of decision is sqrt(2) times a power
//   and 0 where AP2(|x|) < 2^(2 - 2^(k-1)): of 2^k codes one is the sign's, one is 0, the others are exponents
//   Surrogate(x) = 1{|x| <= 1}            as a weight quantizer: 1
//
// k = 2 is {-1, 0, 1}, k = 4 has the sizes 2^-6 .. 1. Weights have codes, the integers q(x) / 2^(2 - 2^(k-1)); they are
// ternary for k = 2, and NaN gives 0. In other roles the values are floats, and NaN stays NaN.
// Source: Hubara et al., "Quantized Neural Networks", arXiv 1609.07061, section 5.

#ifndef BITGRAD_OPS_QUANTIZERS_LOG_QUANT_H_
#define BITGRAD_OPS_QUANTIZERS_LOG_QUANT_H_

#include "bitgrad/ops/quantizers/power_of_two.h"
#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct LogQuantizer : QuantizerBase {
  static constexpr char kName[] = "log_quant";
  static constexpr char kHelp[] =
      "sign(x) 2^round(log2 |x|), at most 1, and 0 below 2^(2 - 2^(k-1)), k = 2..7 bits; surrogate 1{|x| <= 1} "
      "(QNN, arXiv 1609.07061)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 4, kMinArgument = 2, kMaxArgument = 7;
  static constexpr bool kSurrogateIsWindow = true;
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;
  static constexpr bool HasCodes(const QuantizerArgs& args) { return args.role == QuantizerRole::kWeight; }
  static Encoding EncodingOf(const QuantizerArgs& args) {
    if (!HasCodes(args)) return {EncodingKind::kPowerOfTwo, args.bits};
    return {args.bits == 2 ? EncodingKind::kTernary : EncodingKind::kLog, args.bits};
  }
  // The least size that is not 0.
  static constexpr float Least(const QuantizerArgs& args) { return PowerOfTwo(2 - (1 << (args.bits - 1))); }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return HasCodes(args) ? 1.0f / Least(args) : 1.0f; }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers&, float /*uniform*/) {
    const float power = NearestPower(Magnitude(x)), least = Least(args);
    const float size = power < least ? 0.0f : power < 1.0f ? power : 1.0f;
    const float value = WithSignOf(size, size > 0.0f ? x : 0.0f) * ScaleDivisor(args);
    return x == x ? value : HasCodes(args) ? 0.0f : x;
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) { return HardtanhWindow(x); }
};

// bits is in [2, 7]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer LogQuant(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_LOG_QUANT_H_
