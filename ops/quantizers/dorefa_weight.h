// DoReFa-Net's weight quantizer.
//
//   k = 1:  q(w) = sign(w) mean|w|                                    Surrogate(w) = 1
//   k > 1:  q(w) = 2 round((2^k - 1) t) / (2^k - 1) - 1,
//           t = tanh(w) / (2 max|tanh(w)|) + 1/2                      Surrogate(w) = (1 - tanh(w)^2) / max|tanh(w)|
//
// The means and maxima are taken over the tensor, or over each output (per_output), and count as constants in the
// backward pass. Source: Zhou et al., "DoReFa-Net", arXiv 1606.06160, sections 2.2 and 2.3.

#ifndef BITGRAD_OPS_QUANTIZERS_DOREFA_WEIGHT_H_
#define BITGRAD_OPS_QUANTIZERS_DOREFA_WEIGHT_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct DorefaWeightQuantizer : QuantizerBase {
  static constexpr char kName[] = "dorefa_weight";
  static constexpr char kHelp[] =
      "k = 1: sign(w) mean|w|, surrogate 1; k = 2..8: tanh(w)/max|tanh(w)| on 2^k levels, surrogate "
      "its derivative (DoReFa-Net, arXiv 1606.06160)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 1, kMinArgument = 1, kMaxArgument = 8;
  static constexpr bool kMonotone = false;
  static Statistic StatisticOf(const QuantizerArgs& args) {
    return args.bits == 1 ? Statistic::kMeanAbs : Statistic::kMaxAbsTanh;
  }
  static Encoding EncodingOf(const QuantizerArgs& args) {
    return args.bits == 1 ? Encoding{EncodingKind::kBinary, 1} : Encoding{EncodingKind::kSymmetric, args.bits};
  }
  static ScaleOperand ScaleOperandOf(const QuantizerArgs& args) {
    return args.bits == 1 ? ScaleOperand::kStatistic : ScaleOperand::kOne;
  }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return LargestCode(args.bits); }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, float /*uniform*/) {
    if (args.bits == 1) return SignOf(x);
    // An all-zero tensor has no scale of its own: treat its maximum as 1.
    const float max = numbers.statistic > 0.0f ? numbers.statistic : 1.0f;
    return SymmetricCode(ClipToUnit(Tanh(x) / (2.0f * max) + 0.5f), args.bits);
  }
  static constexpr float Surrogate(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    if (args.bits == 1) return 1.0f;
    const float tanh = Tanh(x);
    return (1.0f - tanh * tanh) / (numbers.statistic > 0.0f ? numbers.statistic : 1.0f);
  }
};

// bits is in [1, 8]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer DorefaWeight(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_DOREFA_WEIGHT_H_
