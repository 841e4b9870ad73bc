#include "bitgrad/ops/quantizers/lsq.h"

namespace bitgrad {

Quantizer Lsq(int bits) { return MakeQuantizer<LsqQuantizer>({.bits = bits}); }

}  // namespace bitgrad
