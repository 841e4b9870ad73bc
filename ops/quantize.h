// Quantize: a quantizer as an op of its own. [any] float32 -> the same shape, value = code * scale.
//
//   dx = dy * Surrogate(x)
//
// Layers quantize their operands themselves (ops/linear.h), which keeps them packed; this is for values that
// are used as they are.

#ifndef BITGRAD_OPS_QUANTIZE_H_
#define BITGRAD_OPS_QUANTIZE_H_

#include "bitgrad/graph/var.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

Var Quantize(const Var& x, const Quantizer& quantizer);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZE_H_
