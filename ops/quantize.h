// Quantize: makes few-bit values of reals. The only op that quantizes, and the only one that knows how a quantizer's
// gradient flows back. [any] float32 -> the same shape.
//
//   value = code * scale        of the quantizer (ops/quantizers/quantizer.h)
//   dx    = dvalue * Surrogate(x), times the scale where that is learned or a differentiated statistic
//   dv    = factor * sum of dvalue * (the derivative of the value by the variable v)
//   ds    = sum of dvalue * code / divisor, for a learned scale s
//
// The value is coded (core/coded_tensor.h): products take the codes (ops/linear.h, ops/conv2d.h), and floats are made
// only if some other op reads the value. A quantizer without integer codes (bit_pruning, while its bit length is
// learned) makes floats. For the backward pass the op keeps nothing where the gradient passes unchanged, a mask of bits
// where the surrogate is a window, and otherwise x.
//
// In evaluation stochastic quantizers are replaced (Quantizer::AtEvaluation), and a statistic of activations is the
// running one where `range` is given. A parameter of the tape is quantized once by each quantizer, however often
// Quantize is called for it; the signs that an optimizer's step left with it are used (Parameter::signs).
//
// A learned number or a running statistic that has no value yet (Parameter::is_set) begins with what the tensor at hand
// says, in training; an evaluation before any training uses such a value and keeps it nowhere.
//
// Each call takes a stream of random numbers, whether the quantizer draws any or not, so that a net's other random
// numbers do not depend on its quantizers.
//
// Errors: a quantizer whose argument is out of its range; numbers for each row of activations, which products could not
// factor out; a variable or a learned scale that is not given, or has another shape than [1] or [rows].

#ifndef BITGRAD_OPS_QUANTIZE_H_
#define BITGRAD_OPS_QUANTIZE_H_

#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/var.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// What a row of the coded matrix is.
enum class QuantizedRows {
  kByRank,         // an image or a filter where x has rank 4, otherwise as the next
  kLastDimension,  // all dimensions but the last are rows
};

struct QuantizeOptions {
  // The quantizer's numbers, as far as it has them: [1], or [rows] where they are for each row. They outlive the tape.
  Parameter* variable = nullptr;
  Parameter* scale = nullptr;  // learned
  Parameter* range = nullptr;  // the running statistic; not trainable
  QuantizedRows rows = QuantizedRows::kByRank;
};

// The quantizer's role is that of quantizer.In(role): an activation, unless it says otherwise.
Var Quantize(const Var& x, const Quantizer& quantizer, const QuantizeOptions& options = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZE_H_
