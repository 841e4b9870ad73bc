// Quantize: a quantizer as an op of its own. [any] float32 -> the same shape, value = code * scale.
//
//   dx = dy * Surrogate(x)
//
// Layers quantize their operands themselves and keep them packed (ops/linear.h). This op is for quantized values that
// other ops use, as floats.

#ifndef BITGRAD_OPS_QUANTIZE_H_
#define BITGRAD_OPS_QUANTIZE_H_

#include "bitgrad/graph/var.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

Var Quantize(const Var& x, const Quantizer& quantizer);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZE_H_
