#include "bitgrad/ops/quantizers/k_bit.h"

#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {

Quantizer KBit(int bits) { return MakeQuantizer<KBitQuantizer>({.bits = bits}); }

}  // namespace bitgrad
