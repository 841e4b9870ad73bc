// The nets that the suites of whole nets time: 784-W-W-W-10 with batch norm, in float and binarized.

#ifndef BITGRAD_BENCH_MLP_NETS_H_
#define BITGRAD_BENCH_MLP_NETS_H_

#include <cstdint>

#include "bitgrad/models/mlp.h"
#include "bitgrad/ops/quantizers/dorefa_activation.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/lsq.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/stochastic_round.h"

namespace bitgrad {

inline constexpr int64_t kFeatures = 784;
inline constexpr int64_t kClasses = 10;

// The baseline: ReLU, and nothing is quantized.
inline MlpOptions FloatMlp(int64_t width) {
  return {.features = kFeatures, .hidden = {width, width, width}, .classes = kClasses, .activation = "relu"};
}

// The net of BNN: 8-bit pixels as inputs, binary weights and activations, no dropout.
inline MlpOptions BinaryMlp(int64_t width) {
  return {.features = kFeatures,
          .hidden = {width, width, width},
          .classes = kClasses,
          .input = KBit(8),
          .activation_quantizer = Sign(),
          .weight = Sign()};
}

// The same, with gradients that are rounded to 8 bits before the backward pass multiplies them.
inline MlpOptions BinaryMlp8BitGradients(int64_t width) {
  MlpOptions options = BinaryMlp(width);
  options.gradient = StochasticRound(8);
  return options;
}

// BinaryMlp with scales of weights and activations that are learned, and the same with fixed ones.
inline MlpOptions LearnedScaleMlp(int64_t width) {
  MlpOptions options = BinaryMlp(width);
  options.activation_quantizer = Sign().WithLearnedScale();
  options.weight = Sign().WithLearnedScale();
  return options;
}
inline MlpOptions FixedScaleMlp(int64_t width) {
  MlpOptions options = BinaryMlp(width);
  options.activation_quantizer = Sign().WithFixedScale(0.5f);
  options.weight = Sign().WithFixedScale(0.5f);
  return options;
}

// Weights and activations of two bits: with learned steps (LSQ), and with fixed ones (DoReFa's activations and k_bit's
// weights).
inline MlpOptions Lsq2Mlp(int64_t width) {
  MlpOptions options = BinaryMlp(width);
  options.activation_quantizer = Lsq(2);
  options.weight = Lsq(2);
  return options;
}
inline MlpOptions Fixed2Mlp(int64_t width) {
  MlpOptions options = BinaryMlp(width);
  options.activation_quantizer = DorefaActivation(2);
  options.weight = KBit(2);
  return options;
}

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_MLP_NETS_H_
