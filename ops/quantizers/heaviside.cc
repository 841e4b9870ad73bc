#include "bitgrad/ops/quantizers/heaviside.h"

namespace bitgrad {

Quantizer Heaviside() { return MakeQuantizer<HeavisideQuantizer>(); }

}  // namespace bitgrad
