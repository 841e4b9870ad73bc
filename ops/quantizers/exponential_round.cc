#include "bitgrad/ops/quantizers/exponential_round.h"

namespace bitgrad {

Quantizer ExponentialRound(const ExponentWindow& window) {
  return MakeQuantizer<ExponentialRoundQuantizer>({.exponents = window});
}

}  // namespace bitgrad
