#include "bitgrad/ops/quantizers/stochastic_round.h"

namespace bitgrad {

Quantizer StochasticRound(int bits) { return MakeQuantizer<StochasticRoundQuantizer>({.bits = bits}); }

}  // namespace bitgrad
