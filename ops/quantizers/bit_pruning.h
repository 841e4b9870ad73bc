// BitPruning: the number of bits n is learned, as a real number from 1 to 8.
//
//   q(x) = Q_r(x, n) = (1 - a) Q(x, b) + a Q(x, b + 1),   b = floor(n),  a = n - b;   Q_r(x, n) = Q(x, n) for whole n
//   Q(x, b): max_abs(b), the 2^b levels on [-m, m] for weights and on [0, m] for activations, m = max|x|
//   Surrogate(x)          = 1 on that range, else 0 (the straight-through estimator for round)
//   VariableSurrogate(x)  = Q(x, b + 1) - Q(x, b) = dQ_r/dn; for a whole n the derivative to the right
//
// The penalty gamma * sum of weighted n, which drives n down, belongs to the model. While n is learned, values are
// floats (encoding kFloat). Hardened(n) is max_abs(ceil(n)), whose codes are integers: training goes on with it, and
// the frozen net runs it.
//
// [ours] The paper's levels lie between the least and the largest element, v_min + c (v_max - v_min) / (2^b - 1).
// Products with such an offset are no products of integer codes. A range symmetric about zero for weights, and from
// zero on for activations, makes frozen layers exact products of b-bit integers, for a little of the resolution where a
// tensor is skewed. Between bit lengths 8 and 9, which only n = 8 itself reaches, Q(x, 9) is used for the derivative
// alone.
//
// Source: Nikolic et al., "BitPruning: learning bitlengths for aggressive and accurate quantization", arXiv 2002.03090.

#ifndef BITGRAD_OPS_QUANTIZERS_BIT_PRUNING_H_
#define BITGRAD_OPS_QUANTIZERS_BIT_PRUNING_H_

#include <algorithm>

#include "bitgrad/ops/quantizers/max_abs.h"

namespace bitgrad {

Quantizer HardenedBitPruning(const QuantizerArgs& args, float bits);

struct BitPruningQuantizer : QuantizerBase {
  static constexpr char kName[] = "bit_pruning";
  static constexpr char kHelp[] =
      "(1-a) Q(x, b) + a Q(x, b+1), Q = max_abs, with a learned bit length b + a in [1, 8]; surrogate as max_abs; then "
      "max_abs of the bit length, rounded up (BitPruning, arXiv 2002.03090)";
  static constexpr float kLeastBits = 1, kMostBits = 8;
  static constexpr bool kClipsLatent = false;
  static constexpr Quantizer (*kHardened)(const QuantizerArgs&, float) = HardenedBitPruning;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kMaxAbs; }
  static Encoding EncodingOf(const QuantizerArgs&) { return {EncodingKind::kFloat, 32}; }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, float /*uniform*/) {
    const int bits = WholeBits(numbers.variable);
    const float a = Fraction(numbers.variable);
    return (1.0f - a) * MaxAbsQuantizer::ValueOfBits(x, args.role, bits, numbers.statistic) +
           a * MaxAbsQuantizer::ValueOfBits(x, args.role, bits + 1, numbers.statistic);
  }
  static constexpr float Surrogate(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    return MaxAbsQuantizer::Surrogate(x, args, numbers);
  }
  static QuantizerVariable VariableOf(const QuantizerArgs&) {
    return {.name = "bits",
            .initial = InitialVariable,
            .gradient_factor = GradientAsItIs,
            .least = kLeastBits,
            .most = kMostBits};
  }
  static constexpr float InitialVariable(const QuantizerArgs&, float /*mean_abs*/, float /*max_abs*/) {
    return kMostBits;
  }
  static constexpr float VariableSurrogate(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers) {
    const int bits = WholeBits(numbers.variable);
    return MaxAbsQuantizer::ValueOfBits(x, args.role, bits + 1, numbers.statistic) -
           MaxAbsQuantizer::ValueOfBits(x, args.role, bits, numbers.statistic);
  }

 private:
  // b and a. The constraint after each step keeps n in [1, 8]; a number outside is taken for the nearest inside, and
  // NaN gives NaN. Without branches on n, which would keep loops from being vectorized.
  static constexpr int WholeBits(float n) {
    return std::clamp(static_cast<int>(n), static_cast<int>(kLeastBits), static_cast<int>(kMostBits));
  }
  static constexpr float Fraction(float n) {
    return (n - static_cast<float>(WholeBits(n))) * static_cast<float>(!(n < kLeastBits || n > kMostBits));
  }
};

Quantizer BitPruning();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_BIT_PRUNING_H_
