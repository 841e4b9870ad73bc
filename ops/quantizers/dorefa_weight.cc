#include "ops/quantizers/dorefa_weight.h"

#include "ops/quantizers/list.h"

namespace bitgrad {

Quantizer DorefaWeight(int bits) { return MakeQuantizer<DorefaWeightQuantizer>({.bits = bits}); }

}  // namespace bitgrad
