#include "ops/quantizers/approx_sign.h"

#include "ops/quantizers/list.h"

namespace bitgrad {

Quantizer ApproxSign() { return MakeQuantizer<ApproxSignQuantizer>(); }

}  // namespace bitgrad
