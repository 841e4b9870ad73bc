#include "bitgrad/ops/quantizers/sign.h"

namespace bitgrad {

Quantizer Sign() { return MakeQuantizer<SignQuantizer>(); }

}  // namespace bitgrad
