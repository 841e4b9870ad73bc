#include "bitgrad/ops/quantizers/quantizer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {
namespace {

template <typename Q>
QuantizerInfo InfoOf() {
  return {.index = QuantizerIndex<Q>(),
          .name = Q::kName,
          .help = Q::kHelp,
          .argument = Q::kArgument,
          .default_argument = Q::kDefaultArgument,
          .min_argument = Q::kMinArgument,
          .max_argument = Q::kMaxArgument,
          .min_weight_argument = std::max(Q::kMinArgument, Q::kMinWeightArgument),
          .stochastic = Q::kStochastic,
          .surrogate_is_window = Q::kSurrogateIsWindow,
          .weight_pass_through = Q::kWeightPassThrough,
          .scalable = Q::kScalable,
          .monotone = Q::kMonotone,
          .clips_latent = Q::kClipsLatent,
          // The only statistic that a scalable form can have is that of "scale=mean".
          .differentiates_statistic = Q::kScalable || Q::kDifferentiatesStatistic,
          .granularity = Q::kGranularity,
          .for_gradients = Q::kForGradients,
          .has_exponent_window = Q::kHasExponentWindow,
          .zero_is_optional = Q::kZeroIsOptional,
          .statistic = Q::StatisticOf,
          .encoding = Q::EncodingOf,
          .scale_operand = Q::ScaleOperandOf,
          .scale_divisor = Q::ScaleDivisor,
          .variable = Q::VariableOf,
          .at_evaluation = Q::kAtEvaluation,
          .hardened = Q::kHardened};
}

template <size_t... i>
const QuantizerInfo* Table(std::index_sequence<i...>) {
  // Not constexpr: with -fsanitize=undefined, g++ 12 takes the check of an address for null as not constant.
  static const QuantizerInfo kTable[] = {InfoOf<std::tuple_element_t<i, QuantizerList>>()...};
  return kTable;
}

}  // namespace

absl::Span<const QuantizerInfo> AllQuantizers() {
  return {Table(std::make_index_sequence<kQuantizerCount>()), kQuantizerCount};
}

const QuantizerInfo& QuantizerNamed(absl::string_view name) {
  for (const QuantizerInfo& info : AllQuantizers()) {
    if (info.name == name) return info;
  }
  std::fprintf(stderr, "bitgrad: quantizer '%s' is not in ops/quantizers/list.h\n", std::string(name).c_str());
  std::abort();
}

Quantizer Quantizer::In(QuantizerRole role) const {
  Quantizer result = *this;
  result.args_.role = role;
  return result;
}

Quantizer Quantizer::PerRow() const {
  Quantizer result = *this;
  // Where the form is so anyway, equal quantizers stay equal.
  if (info_->granularity == Granularity::kTensor) result.args_.granularity = Granularity::kRow;
  return result;
}

Quantizer Quantizer::WithLearnedScale() const {
  Quantizer result = WithFixedScale(1.0f);
  result.args_.scale = ScaleOperand::kScale;
  return result;
}

Quantizer Quantizer::WithMeanScale() const {
  Quantizer result = WithFixedScale(1.0f);
  result.args_.scale = ScaleOperand::kStatistic;
  return result;
}

Quantizer Quantizer::WithFixedScale(float scale) const {
  Quantizer result = *this;
  result.args_.scale = ScaleOperand::kOne;
  result.args_.fixed_scale = scale;
  result.args_.glorot_scale = false;
  return result;
}

Quantizer Quantizer::WithGlorotScale() const {
  Quantizer result = WithFixedScale(1.0f);
  result.args_.glorot_scale = true;
  return result;
}

Quantizer Quantizer::ForFans(int64_t fan_in, int64_t fan_out) const {
  if (!args_.glorot_scale || fan_in + fan_out <= 0) return *this;
  return WithFixedScale(static_cast<float>(std::sqrt(1.5 / static_cast<double>(fan_in + fan_out))));
}

Statistic Quantizer::statistic() const {
  return args_.scale == ScaleOperand::kStatistic ? Statistic::kMeanAbs : info_->statistic(args_);
}

Granularity Quantizer::granularity() const {
  return info_->granularity == Granularity::kRow ? Granularity::kRow : args_.granularity;
}

ScaleOperand Quantizer::scale_operand() const {
  return args_.scale == ScaleOperand::kOne ? info_->scale_operand(args_) : args_.scale;
}

bool Quantizer::scales_gradient() const {
  switch (scale_operand()) {
    case ScaleOperand::kOne: return args_.fixed_scale != 1.0f;
    case ScaleOperand::kStatistic: return info_->differentiates_statistic;
    case ScaleOperand::kVariable: return false;
    case ScaleOperand::kScale: return true;
  }
  return false;
}

bool Quantizer::is_fixed() const {
  return !info_->stochastic && statistic() == Statistic::kNone && !has_variable() && scale_is_constant();
}

Quantizer Quantizer::AtEvaluation() const {
  if (info_->at_evaluation == nullptr) return *this;
  Quantizer result = info_->at_evaluation(args_.role).In(args_.role);
  result.args_.granularity = args_.granularity;
  result.args_.scale = args_.scale;
  result.args_.fixed_scale = args_.fixed_scale;
  result.args_.glorot_scale = args_.glorot_scale;
  return result;
}

Quantizer Quantizer::Hardened(float variable) const {
  if (info_->hardened == nullptr) return *this;
  Quantizer result = info_->hardened(args_, variable).In(args_.role);
  result.args_.granularity = args_.granularity;
  return result;
}

}  // namespace bitgrad
