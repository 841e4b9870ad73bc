#include "bitgrad/ops/quantizers/ternary.h"

#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {

Quantizer Ternary(float threshold) { return MakeQuantizer<TernaryQuantizer>({.parameter = threshold}); }

}  // namespace bitgrad
