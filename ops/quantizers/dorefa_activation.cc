#include "bitgrad/ops/quantizers/dorefa_activation.h"

namespace bitgrad {

Quantizer DorefaActivation(int bits) { return MakeQuantizer<DorefaActivationQuantizer>({.bits = bits}); }

}  // namespace bitgrad
