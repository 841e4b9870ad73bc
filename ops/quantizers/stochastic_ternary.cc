#include "bitgrad/ops/quantizers/stochastic_ternary.h"

#include "bitgrad/ops/quantizers/identity.h"
#include "bitgrad/ops/quantizers/ternary.h"

namespace bitgrad {

Quantizer StochasticTernary() { return MakeQuantizer<StochasticTernaryQuantizer>(); }

Quantizer StochasticTernaryAtEvaluation(QuantizerRole role) {
  return role == QuantizerRole::kActivation ? Ternary() : Identity();
}

}  // namespace bitgrad
