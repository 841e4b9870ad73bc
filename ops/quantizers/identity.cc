#include "bitgrad/ops/quantizers/identity.h"

namespace bitgrad {

Quantizer Identity() { return MakeQuantizer<IdentityQuantizer>(); }

Quantizer::Quantizer() : Quantizer(Identity()) {}

bool Quantizer::is_identity() const { return *this == Identity(); }

}  // namespace bitgrad
