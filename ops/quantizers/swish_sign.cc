#include "bitgrad/ops/quantizers/swish_sign.h"

namespace bitgrad {

Quantizer SwishSign(float beta) { return MakeQuantizer<SwishSignQuantizer>({.parameter = beta}); }

Quantizer SwishSignWithLearnedBeta(float initial_beta) {
  return MakeQuantizer<SwishSignQuantizer>({.parameter = initial_beta, .learns_parameter = true});
}

}  // namespace bitgrad
