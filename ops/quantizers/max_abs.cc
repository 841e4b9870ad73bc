#include "bitgrad/ops/quantizers/max_abs.h"

namespace bitgrad {

Quantizer MaxAbs(int bits) { return MakeQuantizer<MaxAbsQuantizer>({.bits = bits}); }

}  // namespace bitgrad
