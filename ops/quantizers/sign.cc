#include "ops/quantizers/sign.h"

#include "ops/quantizers/list.h"

namespace bitgrad {

Quantizer Sign() { return MakeQuantizer<SignQuantizer>(); }

}  // namespace bitgrad
