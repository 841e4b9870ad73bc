#include "bitgrad/export/program_quantizer.h"

#include "absl/strings/str_cat.h"

namespace bitgrad {

absl::StatusOr<PackedQuantizer> QuantizerOf(const program::Program& program, int i) {
  const program::Value& value = program.value(i);
  const program::Quantize& quantize = *value.as<program::Quantize>();
  PackedQuantizer result = {.quantizer = quantize.quantizer};
  const auto read = [&](int operand, std::optional<float>& number) {
    if (operand < 0) return;
    const program::Value& known = program.operand(i, operand);
    if (!known.floats.is_null() && known.floats.num_elements() == 1) number = known.floats.data<float>()[0];
  };
  read(quantize.variable, result.variable);
  read(quantize.scale, result.scale);
  read(quantize.statistic, result.statistic);
  if (quantize.quantizer.statistic() != Statistic::kNone && !result.statistic.has_value()) {
    return absl::UnimplementedError(
        absl::StrCat("layer '", value.layer, "': quantize by '", quantize.quantizer.ToString(),
                     "' measures a statistic, which depends on each batch; train, so that it has a running one"));
  }
  if (const absl::Status status = result.Check(); !status.ok()) {
    return absl::UnimplementedError(
        absl::StrCat("layer '", value.layer, "': quantize: ", status.message(),
                     "; what a packed model quantizes by has to be fixed once training is over"));
  }
  return result;
}

}  // namespace bitgrad
