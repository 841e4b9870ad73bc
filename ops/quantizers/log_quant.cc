#include "bitgrad/ops/quantizers/log_quant.h"

namespace bitgrad {

Quantizer LogQuant(int bits, bool zero) { return MakeQuantizer<LogQuantizer>({.bits = bits, .zero = zero}); }

}  // namespace bitgrad
