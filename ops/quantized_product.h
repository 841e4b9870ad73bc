// Products of operands that are quantized for them: Quantize() of both, and Linear() or Convolution(). For quantizers
// without variables; layers, which own parameters, call the three ops themselves.
//
//   Var y = QuantizedLinear(x, tape.Use(w), {.input = Sign(), .weight = Sign()});

#ifndef BITGRAD_OPS_QUANTIZED_PRODUCT_H_
#define BITGRAD_OPS_QUANTIZED_PRODUCT_H_

#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantize.h"

namespace bitgrad {

struct ProductQuantizers {
  Quantizer input;
  Quantizer weight;
  Quantizer gradient;
};

inline Var QuantizedLinear(const Var& x, const Var& w, const ProductQuantizers& quantizers) {
  // The order in which random numbers are drawn is that of these statements.
  const Var input = Quantize(x, quantizers.input, {.rows = QuantizedRows::kLastDimension});
  const Var weight = Quantize(w, quantizers.weight.In(QuantizerRole::kWeight));
  return Linear(input, weight, {.gradient = quantizers.gradient});
}

inline Var QuantizedConvolution(const Var& x, const Var& w, const ConvOptions& options,
                                const ProductQuantizers& quantizers) {
  const Var input = Quantize(x, quantizers.input);
  const Var weight = Quantize(w, quantizers.weight.In(QuantizerRole::kWeight));
  return Convolution(input, weight, options, {.gradient = quantizers.gradient});
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZED_PRODUCT_H_
