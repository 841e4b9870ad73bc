// Parameterized clipping activation: a clip a that is learned, and 2^k levels from 0 to it.
//
//   q(x) = a round((2^k - 1) clip(x / a, 0, 1)) / (2^k - 1)       ties up; NaN gives 0
//   Surrogate(x)          = 1{0 <= x < a}
//   VariableSurrogate(x)  = 1{x >= a}: dq/da with the straight-through estimator for round
//
// The clip decays with the weights (L2): without, training makes it larger than it need be, since only what it cuts off
// has a gradient. It begins at 10, or at the largest x of the first batch where that is less: beyond it the clip would
// have no gradient, and levels no use [this bound is ours].
//
// Source: Choi et al., "PACT: parameterized clipping activation for quantized neural networks", arXiv 1805.06085,
// section 3.

#ifndef BITGRAD_OPS_QUANTIZERS_PACT_H_
#define BITGRAD_OPS_QUANTIZERS_PACT_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct PactQuantizer : QuantizerBase {
  static constexpr char kName[] = "pact";
  static constexpr char kHelp[] =
      "a round((2^k-1) clip(x/a, 0, 1)) / (2^k-1) with a learned clip a that decays, k = 1..8 bits; surrogate "
      "1{0 <= x < a}; for activations (PACT, arXiv 1805.06085)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 2, kMinArgument = 1, kMaxArgument = 8;
  static constexpr bool kClipsLatent = false;
  static Encoding EncodingOf(const QuantizerArgs& args) { return {EncodingKind::kUnsigned, args.bits}; }
  static ScaleOperand ScaleOperandOf(const QuantizerArgs&) { return ScaleOperand::kVariable; }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return LargestCode(args.bits); }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, float /*uniform*/) {
    return RoundHalfUp(LargestCode(args.bits) * ClipToUnit(x / numbers.variable));
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers& numbers) {
    return x >= 0.0f && x < numbers.variable ? 1.0f : 0.0f;
  }
  static QuantizerVariable VariableOf(const QuantizerArgs&) {
    return {.name = "clip",
            .initial = InitialVariable,
            .gradient_factor = GradientAsItIs,
            .least = 1e-3f,
            .most = 1e6f,
            .decays = true};
  }
  static constexpr float InitialVariable(const QuantizerArgs&, float /*mean_abs*/, float max_abs) {
    return max_abs > 0.0f && max_abs < 10.0f ? max_abs : 10.0f;
  }
  static constexpr float VariableSurrogate(float x, const QuantizerArgs&, const QuantizerNumbers& numbers) {
    return x >= numbers.variable ? 1.0f : 0.0f;
  }
};

// bits is in [1, 8]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer Pact(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_PACT_H_
