#include "bitgrad/ops/quantizers/swish_sign.h"

namespace bitgrad {

Quantizer SwishSign(float beta) { return MakeQuantizer<SwishSignQuantizer>({.parameter = beta}); }

}  // namespace bitgrad
