#include "bitgrad/ops/quantizers/k_bit.h"

namespace bitgrad {

Quantizer KBit(int bits) { return MakeQuantizer<KBitQuantizer>({.bits = bits}); }

}  // namespace bitgrad
