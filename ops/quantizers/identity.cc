#include "bitgrad/ops/quantizers/identity.h"

namespace bitgrad {

Quantizer Identity() { return MakeQuantizer<IdentityQuantizer>(); }

Quantizer::Quantizer() : Quantizer(Identity()) {}

bool Quantizer::is_identity() const {
  return info_ == &Identity().info() && args_.scale == ScaleOperand::kOne && args_.fixed_scale == 1.0f &&
         !args_.glorot_scale;
}

}  // namespace bitgrad
