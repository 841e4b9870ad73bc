#include "bitgrad/ops/quantizers/approx_sign.h"

namespace bitgrad {

Quantizer ApproxSign() { return MakeQuantizer<ApproxSignQuantizer>(); }

}  // namespace bitgrad
