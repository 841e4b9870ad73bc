#include "bitgrad/ops/quantizers/approx_sign.h"

#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {

Quantizer ApproxSign() { return MakeQuantizer<ApproxSignQuantizer>(); }

}  // namespace bitgrad
