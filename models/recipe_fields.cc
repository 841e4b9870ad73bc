#include "bitgrad/models/recipe_fields.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/models/layers/activation.h"

namespace bitgrad {

absl::Status InField(absl::string_view field, const absl::Status& error) {
  return absl::Status(error.code(), absl::StrCat("recipe: ", field, ": ", error.message()));
}

absl::Status ReadQuantizer(absl::string_view field, const std::string& text, QuantizerRole role, Quantizer& quantizer) {
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<Quantizer> parsed = ParseQuantizer(text);
  if (!parsed.ok()) {
    const absl::string_view name = absl::StripAsciiWhitespace(absl::string_view(text).substr(0, text.find('(')));
    std::vector<std::string> names;
    for (const QuantizerInfo& info : AllQuantizers()) names.emplace_back(info.name);
    const bool known = std::count(names.begin(), names.end(), name) > 0;
    return InField(field, absl::Status(parsed.status().code(),
                                       absl::StrCat(parsed.status().message(), known ? "" : DidYouMean(name, names))));
  }
  if (const absl::Status status = parsed->In(role).CheckRole(); !status.ok()) return InField(field, status);
  quantizer = *parsed;
  return absl::OkStatus();
}

absl::Status ReadActivation(absl::string_view field, const std::string& name, std::string& activation) {
  if (name.empty()) return absl::OkStatus();
  activation = name;
  const absl::StatusOr<ActivationForm> known = ActivationForm::Parse(activation);
  return known.ok() ? absl::OkStatus() : InField(field, known.status());
}

absl::Status CheckPositive(absl::string_view field, int64_t value) {
  if (value > 0) return absl::OkStatus();
  return InField(field, absl::InvalidArgumentError(absl::StrCat(value, " has to be positive")));
}

absl::Status CheckRange(absl::string_view field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return InField(field, absl::InvalidArgumentError(absl::StrCat(value, " is not in [", least, ", ", most, "]")));
}

absl::Status CheckKeep(absl::string_view field, float keep) {
  if (keep > 0 && keep <= 1) return absl::OkStatus();
  return InField(field, absl::InvalidArgumentError(absl::StrCat(keep, " is not in (0, 1]")));
}

absl::Status CheckNorm(absl::string_view field, float norm) {
  if (norm > 0 && std::isfinite(norm)) return absl::OkStatus();
  return InField(field, absl::InvalidArgumentError(absl::StrCat(norm, " has to be positive and finite")));
}

absl::Status ReadPrecision(absl::string_view field, const recipe::Precision& recipe, PrecisionOptions& options) {
  const auto in = [&](absl::string_view name) { return absl::StrCat(field, ".", name); };
  const absl::StatusOr<NumberFormat> computation = ParseNumberFormat(recipe.computation());
  if (!computation.ok()) return InField(in("computation"), computation.status());
  const absl::StatusOr<NumberFormat> update =
      ParseNumberFormat(recipe.update().empty() ? recipe.computation() : recipe.update());
  if (!update.ok()) return InField(in("update"), update.status());
  options.computation = *computation;
  options.update = *update;
  if (computation->kind != update->kind) {
    return InField(in("update"),
                   absl::InvalidArgumentError(absl::StrCat(
                       "'", ToString(*update), "' is not of the kind of computation, '", ToString(*computation), "'")));
  }
  if (recipe.has_most_overflow()) options.control.most_overflow = recipe.most_overflow();
  if (!(options.control.most_overflow >= 0 && options.control.most_overflow < 1)) {
    return InField(in("most_overflow"),
                   absl::InvalidArgumentError(absl::StrCat(options.control.most_overflow, " is not in [0, 1)")));
  }
  if (recipe.has_control_batches()) options.control.batches = recipe.control_batches();
  // Counts of calls are floats, which are exact up to here.
  BITGRAD_RETURN_IF_ERROR(CheckRange(in("control_batches"), options.control.batches, 1, 1 << 24));
  if (recipe.has_first_range()) options.control.first_range = recipe.first_range();
  return CheckRange(in("first_range"), options.control.first_range, NumberFormat::kLeastRange,
                    NumberFormat::kMostRange);
}

absl::Status ReadScalar(absl::string_view field, const recipe::ScheduledScalar& recipe, ScalarSchedule& scalar) {
  if (recipe.has_initial()) scalar.initial = recipe.initial();
  scalar.final = recipe.has_final() ? recipe.final() : scalar.initial;
  if (recipe.has_until()) scalar.until = recipe.until();
  scalar.by_step = recipe.per() == recipe::ScheduledScalar::STEP;
  switch (recipe.change()) {
    case recipe::ScheduledScalar::LINEAR: scalar.change = ScalarChange::kLinear; break;
    case recipe::ScheduledScalar::EXPONENTIAL: scalar.change = ScalarChange::kExponential; break;
    default: scalar.change = ScalarChange::kConstant;
  }
  const absl::Status valid = scalar.status();
  return valid.ok() ? valid : InField(field, valid);
}

BatchNormOptions ReadBatchNorm(const recipe::BatchNorm& norm) {
  BatchNormOptions options;
  if (norm.has_epsilon()) options.epsilon = norm.epsilon();
  if (norm.has_momentum()) options.momentum = norm.momentum();
  options.placement = norm.epsilon_placement() == recipe::BatchNorm::OUTSIDE_ROOT ? EpsilonPlacement::kOutsideRoot
                                                                                  : EpsilonPlacement::kInsideRoot;
  switch (norm.running_statistic()) {
    case recipe::BatchNorm::STD: options.statistic = RunningStatistic::kStd; break;
    case recipe::BatchNorm::INVERSE_STD: options.statistic = RunningStatistic::kInverseStd; break;
    case recipe::BatchNorm::UNBIASED_VARIANCE: options.unbiased = true; [[fallthrough]];
    default: options.statistic = RunningStatistic::kVariance;
  }
  switch (norm.kind()) {
    case recipe::BatchNorm::SHIFT_PAPER: options.arithmetic = BatchNormArithmetic::kShiftPaper; break;
    case recipe::BatchNorm::SHIFT_TORCH: options.arithmetic = BatchNormArithmetic::kShiftTorch; break;
    default: options.arithmetic = BatchNormArithmetic::kExact;
  }
  return options;
}

Padding ReadPadding(recipe::Padding padding) {
  switch (padding) {
    case recipe::PLUS_ONE: return Padding::kPlusOne;
    case recipe::MINUS_ONE: return Padding::kMinusOne;
    default: return Padding::kZero;
  }
}

}  // namespace bitgrad
