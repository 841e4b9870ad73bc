#include "bitgrad/models/layers/layer_quantizer.h"

#include "absl/strings/str_cat.h"

namespace bitgrad {

LayerQuantizer::LayerQuantizer(const Scope& scope, const Quantizer& quantizer, QuantizerRole role, int64_t rows)
    : quantizer_(quantizer.In(role)) {
  if (const absl::Status status = quantizer_.CheckRole(); !status.ok()) {
    scope.ReportError(status.message());
    return;
  }
  const Scope numbers = scope / "quantizer";
  const Shape shape({quantizer_.granularity() == Granularity::kRow ? rows : 1});
  const auto make = [&](const char* name) {
    Parameter& parameter = numbers.NewParameter(name, shape, Initializer::Constant(1));
    parameter.kind = ParameterKind::kQuantizerVariable;
    parameter.is_set = false;
    return &parameter;
  };
  if (quantizer_.has_variable()) {
    const QuantizerVariable variable = quantizer_.variable();
    variable_ = make(variable.name);
    variable_->decays = variable.decays;
  }
  if (quantizer_.has_learned_scale()) scale_ = make("scale");
  if (role == QuantizerRole::kActivation && quantizer_.statistic() != Statistic::kNone) {
    range_ = make("range");
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
    weight.clip = clip;
  }
  weight.fan_in = fan_in;
  weight.fan_out = fan_out;
}

Var LayerQuantizer::operator()(const Var& x, QuantizedRows rows) const {
  return Quantize(x, quantizer_, {.variable = variable_, .scale = scale_, .range = range_, .rows = rows});
}

}  // namespace bitgrad
