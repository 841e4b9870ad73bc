#include "bitgrad/models/mlp.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"

namespace bitgrad {

Mlp::Mlp(const Scope& scope, const MlpOptions& options) {
  const absl::StatusOr<Activation> activation = Activation::Named(options.activation);
  const absl::StatusOr<Activation> last_activation =
      options.last_activation.empty() ? activation : Activation::Named(options.last_activation);
  for (const absl::Status& status : {activation.status(), last_activation.status()}) {
    if (status.ok()) continue;
    scope.ReportError(status.message());
    return;
  }
  int64_t in = options.features;
  for (size_t i = 0; i <= options.hidden.size(); ++i) {
    const bool first = i == 0, last = i == options.hidden.size();
    const int64_t out = last ? options.classes : options.hidden[i];
    const Scope layer = scope / (last ? std::string("output") : absl::StrCat("hidden", i + 1));
    DenseOptions dense{.in = in,
                       .out = out,
                       .bias = !options.normalizes,
                       .clip = options.clip,
                       .input_keep = first ? options.input_keep : options.hidden_keep};
    if (!options.float_ends || !(first || last)) {
      dense.input = first ? options.input : options.activation_quantizer;
      dense.weight = options.weight;
      dense.gradient = options.gradient;
      dense.input_for_weight_gradient = options.input_for_weight_gradient;
    }
    layers_.Add<Dense>(layer, dense);
    if (options.normalizes) {
      layers_.Add<BatchNorm>(layer / "norm", BatchNormLayerOptions{.features = out, .norm = options.norm});
    }
    if (!last) layers_.Add<Activation>(i + 1 < options.hidden.size() ? *activation : *last_activation);
    in = out;
  }
}

}  // namespace bitgrad
