#include "bitgrad/runtime/packed_quantizer.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

// A number that is there exactly where the quantizer reads it.
absl::Status CheckNumber(const Quantizer& quantizer, const char* name, bool is_read,
                         const std::optional<float>& number) {
  if (is_read != number.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("'", quantizer.ToString(), "' ", is_read ? "needs a " : "reads no ",
                                                   name, is_read ? ", which is missing" : ", but there is one"));
  }
  if (!number.has_value() || (std::isfinite(*number) && *number >= 0)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the ", name, " of '", quantizer.ToString(), "' is ", *number, ", not finite and at least 0"));
}

}  // namespace

float PackedQuantizer::value_scale() const {
  switch (quantizer.scale_operand()) {
    case ScaleOperand::kOne: break;
    case ScaleOperand::kStatistic: return quantizer.scale(statistic.value_or(0));
    case ScaleOperand::kVariable: return quantizer.scale(variable.value_or(0));
    case ScaleOperand::kScale: return quantizer.scale(scale.value_or(0));
  }
  return quantizer.scale(1);
}

absl::Status PackedQuantizer::Check() const {
  BITGRAD_RETURN_IF_ERROR(quantizer.status());
  const bool reads_numbers =
      quantizer.statistic() != Statistic::kNone || quantizer.has_variable() || quantizer.has_learned_scale();
  if (quantizer.info().stochastic || (reads_numbers && quantizer.granularity() == Granularity::kRow)) {
    return absl::InvalidArgumentError(absl::StrCat("'", quantizer.ToString(),
                                                   "' depends on random numbers or on each example; ",
                                                   "a packed model takes only quantizers of single values"));
  }
  BITGRAD_RETURN_IF_ERROR(CheckNumber(quantizer, "statistic", quantizer.statistic() != Statistic::kNone, statistic));
  BITGRAD_RETURN_IF_ERROR(CheckNumber(quantizer, "variable", quantizer.has_variable(), variable));
  BITGRAD_RETURN_IF_ERROR(CheckNumber(quantizer, "scale", quantizer.has_learned_scale(), scale));
  if (!(std::isfinite(value_scale()) && value_scale() >= 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the scale of '", quantizer.ToString(), "' is ", value_scale(), ", not finite and at least 0"));
  }
  return absl::OkStatus();
}

packed::Quantize PackedQuantizer::ToProto() const {
  packed::Quantize quantize;
  quantize.set_quantizer(quantizer.ToString());
  if (quantizer.args().role == QuantizerRole::kWeight) quantize.set_role(packed::Quantize::WEIGHT);
  if (variable.has_value()) quantize.set_variable(*variable);
  if (scale.has_value()) quantize.set_scale(*scale);
  if (statistic.has_value()) quantize.set_statistic(*statistic);
  return quantize;
}

absl::StatusOr<PackedQuantizer> PackedQuantizer::FromProto(const packed::Quantize& quantize) {
  absl::StatusOr<Quantizer> quantizer = ParseQuantizer(quantize.quantizer());
  if (!quantizer.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("quantize.quantizer: ", quantizer.status().message()));
  }
  if (!packed::Quantize::Role_IsValid(quantize.role())) {
    return absl::InvalidArgumentError(
        absl::StrCat("quantize.role: ", static_cast<int>(quantize.role()), " is unknown"));
  }
  const QuantizerRole role =
      quantize.role() == packed::Quantize::WEIGHT ? QuantizerRole::kWeight : QuantizerRole::kActivation;
  PackedQuantizer result = {.quantizer = quantizer->In(role)};
  if (quantize.has_variable()) result.variable = quantize.variable();
  if (quantize.has_scale()) result.scale = quantize.scale();
  if (quantize.has_statistic()) result.statistic = quantize.statistic();
  if (const absl::Status status = result.Check(); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("quantize.quantizer: ", status.message()));
  }
  return result;
}

}  // namespace bitgrad
