#include "bitgrad/ops/quantizers/log_quant.h"

namespace bitgrad {

Quantizer LogQuant(int bits) { return MakeQuantizer<LogQuantizer>({.bits = bits}); }

}  // namespace bitgrad
