#include "bitgrad/ops/quantizers/dorefa_weight.h"

namespace bitgrad {

Quantizer DorefaWeight(int bits) { return MakeQuantizer<DorefaWeightQuantizer>({.bits = bits}); }

}  // namespace bitgrad
