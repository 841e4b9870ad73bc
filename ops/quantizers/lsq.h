// Learned step size quantization: k-bit integers times a step s that is learned.
//
//   q(x) = s clip(round(x / s), -Q_N, Q_P)            ties up; NaN gives 0
//   activations:  Q_N = 0,        Q_P = 2^k - 1,          k = 1..8, unsigned codes
//   weights:      Q_N = 2^(k-1),  Q_P = 2^(k-1) - 1,      k = 2..8, two's complement
//
//   Surrogate(x)          = 1 if -Q_N < x / s < Q_P, else 0
//   VariableSurrogate(x)  = round(x / s) - x / s  if -Q_N < x / s < Q_P,  -Q_N below,  Q_P above: dq/ds with the
//                           straight-through estimator for round
//
// The ends themselves count as outside, as in the paper; so an activation of exactly 0 has no gradient. The gradient of
// the step is multiplied with 1 / sqrt(n Q_P), n the number of elements that share it, so that steps and weights learn
// at about the same relative speed (section 2.2). A step begins at 2 mean|x| / sqrt(Q_P), where x is the weight or the
// first batch. Latent weights are not clipped: the step learns their range.
//
// Source: Esser et al., "Learned step size quantization", arXiv 1902.08153.

#ifndef BITGRAD_OPS_QUANTIZERS_LSQ_H_
#define BITGRAD_OPS_QUANTIZERS_LSQ_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct LsqQuantizer : QuantizerBase {
  static constexpr char kName[] = "lsq";
  static constexpr char kHelp[] =
      "s clip(round(x/s), -Q_N, Q_P) with a learned step s, k = 1..8 bits, unsigned for activations, two's complement "
      "for weights (k = 2..8); surrogate 1{-Q_N < x/s < Q_P} (LSQ, arXiv 1902.08153)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 2, kMinArgument = 1, kMaxArgument = 8;
  static constexpr float kMinWeightArgument = 2;
  static constexpr bool kClipsLatent = false;
  static Encoding EncodingOf(const QuantizerArgs& args) {
    return {Signed(args) ? EncodingKind::kTwosComplement : EncodingKind::kUnsigned, args.bits};
  }
  static ScaleOperand ScaleOperandOf(const QuantizerArgs&) { return ScaleOperand::kVariable; }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, float /*uniform*/) {
    const float t = x / numbers.variable;
    const float low = -Below(args), high = Above(args);
    const float clipped = t > low ? (t < high ? t : high) : low;
    return t == t ? RoundHalfUp(clipped) : 0.0f;
  }
  static constexpr float Surrogate(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    const float t = x / numbers.variable;
    return t > -Below(args) && t < Above(args) ? 1.0f : 0.0f;
  }
  static QuantizerVariable VariableOf(const QuantizerArgs&) {
    return {
        .name = "step", .initial = InitialVariable, .gradient_factor = GradientFactor, .least = 1e-8f, .most = 1e8f};
  }
  static constexpr float InitialVariable(const QuantizerArgs& args, float mean_abs, float /*max_abs*/) {
    // Zeros have no step of their own.
    return mean_abs == 0.0f ? 1.0f : 2.0f * mean_abs / std::sqrt(Above(args));
  }
  static constexpr float VariableSurrogate(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    const float t = x / numbers.variable;
    const float low = -Below(args), high = Above(args);
    return t > low ? (t < high ? RoundHalfUp(t) - t : high) : low;
  }

 private:
  static constexpr bool Signed(const QuantizerArgs& args) { return args.role != QuantizerRole::kActivation; }
  // Q_N and Q_P.
  static constexpr float Below(const QuantizerArgs& args) {
    return Signed(args) ? static_cast<float>(1 << (args.bits - 1)) : 0.0f;
  }
  static constexpr float Above(const QuantizerArgs& args) {
    return LargestCode(Signed(args) ? args.bits - 1 : args.bits);
  }
  static float GradientFactor(const QuantizerArgs& args, int64_t count) {
    return 1.0f / std::sqrt(static_cast<float>(count) * Above(args));
  }
};

// bits is in [1, 8], for weights in [2, 8]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer Lsq(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_LSQ_H_
