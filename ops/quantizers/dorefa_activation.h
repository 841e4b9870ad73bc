// DoReFa-Net's activation quantizer.
//
//   q(x) = round((2^k - 1) clip(x, 0, 1)) / (2^k - 1)       ties up; NaN gives 0
//   Surrogate(x) = 1{0 <= x <= 1}
//
// Source: Zhou et al., "DoReFa-Net", arXiv 1606.06160, section 2.4.

#ifndef BITGRAD_OPS_QUANTIZERS_DOREFA_ACTIVATION_H_
#define BITGRAD_OPS_QUANTIZERS_DOREFA_ACTIVATION_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct DorefaActivationQuantizer : QuantizerBase {
  static constexpr char kName[] = "dorefa_activation";
  static constexpr char kHelp[] =
      "round((2^k-1) clip(x, 0, 1)) / (2^k-1), k = 1..8 bits; surrogate 1{0 <= x <= 1} "
      "(DoReFa-Net, arXiv 1606.06160)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 2, kMinArgument = 1, kMaxArgument = 8;
  static Encoding EncodingOf(const QuantizerArgs& args) { return {EncodingKind::kUnsigned, args.bits}; }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return LargestCode(args.bits); }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers&, float /*uniform*/) {
    return RoundHalfUp(LargestCode(args.bits) * ClipToUnit(x));
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) {
    return x >= 0.0f && x <= 1.0f ? 1.0f : 0.0f;
  }
};

// bits is in [1, 8]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer DorefaActivation(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_DOREFA_ACTIVATION_H_
