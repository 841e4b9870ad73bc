#include "bitgrad/ops/quantizers/sign.h"

#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {

Quantizer Sign() { return MakeQuantizer<SignQuantizer>(); }

}  // namespace bitgrad
