#include "bitgrad/graph/number_group.h"

#include "bitgrad/graph/parameter.h"

namespace bitgrad {

Rounding NumberGroup::rounding(bool counts) const {
  Rounding rounding = {.kind = format.kind, .bits = format.bits, .fixed_range = format.range};
  if (range != nullptr) rounding.range = range->value.data<float>();
  if (counts && overflows != nullptr) rounding.overflows = overflows->value.mutable_data<float>();
  return rounding;
}

}  // namespace bitgrad
