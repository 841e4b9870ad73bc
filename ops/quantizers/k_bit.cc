#include "ops/quantizers/k_bit.h"

#include "ops/quantizers/list.h"

namespace bitgrad {

Quantizer KBit(int bits) { return MakeQuantizer<KBitQuantizer>({.bits = bits}); }

}  // namespace bitgrad
