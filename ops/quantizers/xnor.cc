#include "bitgrad/ops/quantizers/xnor.h"

namespace bitgrad {

Quantizer Xnor() { return MakeQuantizer<XnorQuantizer>(); }

}  // namespace bitgrad
