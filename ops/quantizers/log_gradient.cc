#include "bitgrad/ops/quantizers/log_gradient.h"

namespace bitgrad {

Quantizer LogGradient(int bits) { return MakeQuantizer<LogGradientQuantizer>({.bits = bits}); }

}  // namespace bitgrad
