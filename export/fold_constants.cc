#include "bitgrad/export/fold_constants.h"

#include "absl/strings/str_cat.h"

namespace bitgrad {

using program::Constant;
using program::Value;

void FoldConstants(program::Program& program) {
  for (int i = 0; i < program.size(); ++i) {
    Value& value = program.value(i);
    if (!value.is_known() || program.is_constant(i)) continue;
    // A quantized weight keeps the name of the weight.
    const Constant* const weight = value.as<program::Quantize>() ? program.operand(i, 0).as<Constant>() : nullptr;
    value.operation =
        weight != nullptr ? Constant{.name = weight->name} : Constant{.name = absl::StrCat(value.layer, "/", value.op)};
    value.operands.clear();
  }
}

}  // namespace bitgrad
