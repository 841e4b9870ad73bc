#include "bitgrad/models/layers/layer_quantizer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/transfer.h"

namespace bitgrad {
namespace {

// What a scale is made of is an error of the step once it is not positive and finite.
void HasToBePositive(Parameter& parameter) {
  parameter.least = 0;
  parameter.most = std::numeric_limits<float>::max();
  parameter.has_to_stay_inside = true;
}

}  // namespace

LayerQuantizer::LayerQuantizer(const Scope& scope, const Quantizer& quantizer, QuantizerRole role, int64_t rows)
    : path_(scope.path()), quantizer_(quantizer.In(role)), learns_bits_(quantizer.info().hardened != nullptr) {
  if (const absl::Status status = quantizer_.CheckRole(); !status.ok()) {
    scope.ReportError(status.message());
    return;
  }
  const Scope numbers = scope / "quantizer";
  const Shape shape({quantizer_.granularity() == Granularity::kRow ? rows : 1});
  const auto make = [&](const char* name) {
    Parameter& parameter = numbers.NewUnsetParameter(name, shape);
    parameter.kind = ParameterKind::kQuantizerVariable;
    return &parameter;
  };
  if (quantizer_.has_variable()) {
    const QuantizerVariable variable = quantizer_.variable();
    variable_ = make(variable.name);
    variable_->decays = variable.decays;
    if (quantizer_.scale_operand() == ScaleOperand::kVariable) {
      HasToBePositive(*variable_);
    } else {
      variable_->least = variable.least;
      variable_->most = variable.most;
    }
  }
  if (quantizer_.has_learned_scale()) {
    scale_ = make("scale");
    HasToBePositive(*scale_);
  }
  if (role == QuantizerRole::kActivation && quantizer_.statistic() != Statistic::kNone) {
    range_ = make("range");
    range_->kind = ParameterKind::kOther;
    range_->trainable = false;
  }
}

void LayerQuantizer::SetUpWeight(Parameter& weight, int64_t fan_in, int64_t fan_out, float clip) const {
  weight.decays = true;
  if (quantizer_.is_identity()) {
    weight.kind = ParameterKind::kWeight;
  } else {
    weight.kind = ParameterKind::kQuantizedWeight;
    weight.encoding = quantizer_.encoding();
    if (!quantizer_.info().clips_latent) return;
    weight.ClipTo(clip);
  }
  weight.fan_in = fan_in;
  weight.fan_out = fan_out;
}

double LayerQuantizer::Bits(ExecContext& context) const {
  if (!quantizer_.has_variable() || !learns_bits_) return quantizer_.encoding().bits;
  const Tensor lengths = ToHost(context, variable_->value);
  double sum = 0;
  for (const float length : lengths.span<float>()) sum += length;
  return sum / static_cast<double>(lengths.num_elements());
}

absl::Status LayerQuantizer::Harden(ExecContext& context) {
  if (!quantizer_.has_variable() || !learns_bits_) return absl::OkStatus();
  const QuantizerVariable variable = quantizer_.variable();
  Tensor lengths = ToHost(context, variable_->value).Clone();
  // A run may be too short for a phase in which lengths are learned: they stay what they would have begun with.
  if (!variable_->is_set) {
    for (float& length : lengths.mutable_span<float>()) length = variable.initial(quantizer_.args(), 0, 0);
    variable_->is_set = true;
  }
  float most = 0;
  for (float& length : lengths.mutable_span<float>()) {
    if (!(length >= variable.least && length <= variable.most)) {
      return absl::FailedPreconditionError(absl::StrCat("parameter '", variable_->name, "' is ", length,
                                                        "; a bit length is a number from ", variable.least, " to ",
                                                        variable.most, ", so the parameters are damaged"));
    }
    length = std::ceil(length);
    most = std::max(most, length);
  }
  context.Upload(variable_->value.mutable_raw_data(), lengths.raw_data(), lengths.byte_size());
  quantizer_ = quantizer_.Hardened(most);
  return context.status();
}

Var LayerQuantizer::operator()(const Var& x, QuantizedRows rows) const {
  return Quantize(x, quantizer_, {.variable = variable_, .scale = scale_, .range = range_, .rows = rows});
}

}  // namespace bitgrad
