#include "bitgrad/ops/quantizers/stochastic_sign.h"

#include "bitgrad/ops/quantizers/identity.h"
#include "bitgrad/ops/quantizers/sign.h"

namespace bitgrad {

Quantizer StochasticSign() { return MakeQuantizer<StochasticSignQuantizer>(); }

Quantizer StochasticSignAtEvaluation(QuantizerRole role) {
  return role == QuantizerRole::kActivation ? Sign() : Identity();
}

}  // namespace bitgrad
