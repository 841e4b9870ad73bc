#include "bitgrad/ops/quantizers/pact.h"

namespace bitgrad {

Quantizer Pact(int bits) { return MakeQuantizer<PactQuantizer>({.bits = bits}); }

}  // namespace bitgrad
