#include "ops/quantizers/ternary.h"

#include "ops/quantizers/list.h"

namespace bitgrad {

Quantizer Ternary(float threshold) { return MakeQuantizer<TernaryQuantizer>({.parameter = threshold}); }

}  // namespace bitgrad
