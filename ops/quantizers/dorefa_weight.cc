#include "bitgrad/ops/quantizers/dorefa_weight.h"

#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {

Quantizer DorefaWeight(int bits) { return MakeQuantizer<DorefaWeightQuantizer>({.bits = bits}); }

}  // namespace bitgrad
