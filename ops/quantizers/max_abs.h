// k-bit uniform quantization of the range that the tensor has: bit_pruning with its bit length decided.
//
//   weights:      q(x) = m (2 round((2^k - 1) clip(x / (2m) + 1/2, 0, 1)) - (2^k - 1)) / (2^k - 1)
//   activations:  q(x) = m round((2^k - 1) clip(x / m, 0, 1)) / (2^k - 1)
//   m = max|x| of the tensor, or of each output (per_output); ties up; 0 where m is 0; NaN gives the least level
//   Surrogate(x) = 1{|x| <= m} for weights, 1{0 <= x <= m} for activations; m counts as a constant
//
// The 2^k levels for weights are symmetric about zero, as those of k_bit(k), and without a level at zero; for k = 1
// they are m sign(x). An activation's m changes with every batch; evaluation and frozen nets use its running average.
//
// Source: the quantizer of BitPruning (arXiv 2002.03090, section 3.1), with ranges that give integer codes: see
// bit_pruning.h.

#ifndef BITGRAD_OPS_QUANTIZERS_MAX_ABS_H_
#define BITGRAD_OPS_QUANTIZERS_MAX_ABS_H_

#include <limits>

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct MaxAbsQuantizer : QuantizerBase {
  static constexpr char kName[] = "max_abs";
  static constexpr char kHelp[] =
      "2^k levels, k = 1..8, on [-m, m] for weights and on [0, m] for activations, m = max|x|; surrogate 1 on that "
      "range "
      "(arXiv 2002.03090)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 8, kMinArgument = 1, kMaxArgument = 8;
  static constexpr bool kClipsLatent = false;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kMaxAbs; }
  static Encoding EncodingOf(const QuantizerArgs& args) {
    if (args.role == QuantizerRole::kActivation) return {EncodingKind::kUnsigned, args.bits};
    return args.bits == 1 ? Encoding{EncodingKind::kBinary, 1} : Encoding{EncodingKind::kSymmetric, args.bits};
  }
  static ScaleOperand ScaleOperandOf(const QuantizerArgs&) { return ScaleOperand::kStatistic; }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return LargestCode(args.bits); }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, float /*uniform*/) {
    return CodeOfBits(x, args.role, args.bits, numbers.statistic);
  }
  static constexpr float Surrogate(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    const float low = args.role == QuantizerRole::kActivation ? 0.0f : -numbers.statistic;
    return x >= low && x <= numbers.statistic ? 1.0f : 0.0f;
  }

  // The code and the value of x in `bits` bits. Where m is 0 any code does: the scale is 0, too. Both roles take the
  // same way, with other numbers in place of branches: so loops vectorize, also over bit_pruning, which goes it twice.
  static constexpr float CodeOfBits(float x, QuantizerRole role, int bits, float m) {
    const float is_weight = role != QuantizerRole::kActivation;
    const float is_sign = role != QuantizerRole::kActivation && bits == 1;
    const float levels = LargestCode(bits);
    // One bit is the sign, exactly: next to the least normal number, every number but zero is large enough to decide
    // the rounding of 1/2 + x / 2. Zero itself is a tie, which is up.
    const float range =
        is_sign * std::numeric_limits<float>::min() + (1.0f - is_sign) * (m + static_cast<float>(m == 0.0f));
    const float unit = ClipToUnit((x / range + is_weight) * (1.0f - 0.5f * is_weight));
    return (1.0f + is_weight) * RoundHalfUp(levels * unit) - is_weight * levels;
  }
  static constexpr float ValueOfBits(float x, QuantizerRole role, int bits, float m) {
    return CodeOfBits(x, role, bits, m) * (m / LargestCode(bits));
  }
};

// bits is in [1, 8]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer MaxAbs(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_MAX_ABS_H_
