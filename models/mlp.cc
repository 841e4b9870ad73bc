#include "bitgrad/models/mlp.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/maxout.h"

namespace bitgrad {

Mlp::Mlp(const Scope& scope, const MlpOptions& options) {
  const absl::StatusOr<ActivationForm> activation = ActivationForm::Parse(options.activation);
  const absl::StatusOr<ActivationForm> last_activation =
      options.last_activation.empty() ? activation : ActivationForm::Parse(options.last_activation);
  for (const absl::Status& status : {activation.status(), last_activation.status()}) {
    if (status.ok()) continue;
    scope.ReportError(status.message());
    return;
  }
  int64_t in = options.features;
  for (size_t i = 0; i <= options.hidden.size(); ++i) {
    const bool first = i == 0, last = i == options.hidden.size();
    const int64_t out = last ? options.classes : options.hidden[i];
    const int64_t pieces = last || options.maxout_pieces == 0 ? 1 : options.maxout_pieces;
    const Scope layer = scope / (last ? std::string("output") : absl::StrCat("hidden", i + 1));
    DenseOptions dense{.in = in,
                       .out = pieces * out,
                       .bias = !options.normalizes && (last || options.hidden_bias),
                       .clip = options.clip,
                       .input_keep = first ? options.input_keep : options.hidden_keep,
                       .dropout_scaling = options.dropout_scaling,
                       .starts_at_zero = last && options.output_starts_at_zero,
                       .precision = options.precision,
                       .max_norm = options.max_norm};
    if (!options.float_ends || !(first || last)) {
      dense.input = first ? options.input : options.activation_quantizer;
      dense.weight = options.weight;
      dense.gradient = options.gradient;
      dense.input_for_weight_gradient = options.input_for_weight_gradient;
    }
    layers_.Add<Dense>(layer, dense);
    if (options.precision.rounds()) layers_.Add<RoundValues>(layer / "output", options.precision);
    if (options.normalizes) {
      layers_.Add<BatchNorm>(layer / "norm", BatchNormLayerOptions{.features = pieces * out, .norm = options.norm});
    }
    if (!last) {
      if (options.maxout_pieces > 0) layers_.Add<MaxoutLayer>(layer / "maxout", pieces);
      layers_.Add<Activation>(i + 1 < options.hidden.size() ? *activation : *last_activation, layer, out);
      if (options.precision.rounds()) layers_.Add<RoundValues>(layer / "activation", options.precision);
    }
    in = out;
  }
}

}  // namespace bitgrad
