#include "ops/quantizers/stochastic_ternary.h"

#include "ops/quantizers/list.h"

namespace bitgrad {

Quantizer StochasticTernary() { return MakeQuantizer<StochasticTernaryQuantizer>(); }

Quantizer StochasticTernaryAtEvaluation(QuantizerRole role) {
  return role == QuantizerRole::kActivation ? Ternary() : Identity();
}

}  // namespace bitgrad
