#include "bitgrad/models/recipe_fields.h"

#include <algorithm>
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
  const absl::StatusOr<Activation> known = Activation::Named(activation);
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

absl::Status ReadScalar(absl::string_view field, const recipe::ScheduledScalar& recipe, ScalarSchedule& scalar) {
  if (recipe.has_initial()) scalar.initial = recipe.initial();
  scalar.final = recipe.has_final() ? recipe.final() : scalar.initial;
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
