#include "bitgrad/ops/quantizers/exponential_round.h"

#include "bitgrad/ops/quantizers/identity.h"

namespace bitgrad {

Quantizer ExponentialRound(const ExponentWindow& window) {
  return MakeQuantizer<ExponentialRoundQuantizer>({.exponents = window});
}

Quantizer ExponentialRoundAtEvaluation(QuantizerRole) { return Identity(); }

}  // namespace bitgrad
