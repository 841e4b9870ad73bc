#include "ops/quantizers/stochastic_round.h"

#include "ops/quantizers/list.h"

namespace bitgrad {

Quantizer StochasticRound(int bits) { return MakeQuantizer<StochasticRoundQuantizer>({.bits = bits}); }

}  // namespace bitgrad
