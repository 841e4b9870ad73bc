#include "bitgrad/ops/quantizers/dorefa_gradient.h"

#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {

Quantizer DorefaGradient(int bits) { return MakeQuantizer<DorefaGradientQuantizer>({.bits = bits}); }

}  // namespace bitgrad
