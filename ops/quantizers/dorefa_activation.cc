#include "bitgrad/ops/quantizers/dorefa_activation.h"

#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {

Quantizer DorefaActivation(int bits) { return MakeQuantizer<DorefaActivationQuantizer>({.bits = bits}); }

}  // namespace bitgrad
