#include "bitgrad/report/frozen_size.h"

#include <memory>
#include <string>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/freeze_checkpoint.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

absl::StatusOr<FrozenSize> FrozenSizeOf(const Checkpoint& checkpoint) {
  ExecContext context({.threads = 1});
  BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, FreezeCheckpoint(context, checkpoint));
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<PackedModel> packed, PackedModel::FromBytes(checkpoint.path(), bytes));
  double numbers = 0, bits = 0;
  for (const auto& [width, count] : CostOf(*packed).parameters_by_bits) {
    numbers += static_cast<double>(count);
    bits += static_cast<double>(width) * static_cast<double>(count);
  }
  return FrozenSize{.bytes = static_cast<int64_t>(bytes.size()), .bits = numbers > 0 ? bits / numbers : 0};
}

}  // namespace bitgrad
