#include "bitgrad/ops/quantizers/ternary.h"

namespace bitgrad {

Quantizer Ternary(float threshold) { return MakeQuantizer<TernaryQuantizer>({.parameter = threshold}); }

}  // namespace bitgrad
