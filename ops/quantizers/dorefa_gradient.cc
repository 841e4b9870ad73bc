#include "bitgrad/ops/quantizers/dorefa_gradient.h"

namespace bitgrad {

Quantizer DorefaGradient(int bits) { return MakeQuantizer<DorefaGradientQuantizer>({.bits = bits}); }

}  // namespace bitgrad
