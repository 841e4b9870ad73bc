#include "bitgrad/ops/quantizers/bit_pruning.h"

#include <cmath>

namespace bitgrad {

Quantizer BitPruning() { return MakeQuantizer<BitPruningQuantizer>(); }

Quantizer HardenedBitPruning(const QuantizerArgs&, float bits) {
  // What is no bit length, NaN for instance, gives a quantizer whose status() says so.
  const bool is_length = bits > 0.0f && bits <= BitPruningQuantizer::kMostBits;
  return MaxAbs(is_length ? static_cast<int>(std::ceil(bits)) : 0);
}

}  // namespace bitgrad
