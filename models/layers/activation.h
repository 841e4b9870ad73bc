// Activation: a pointwise function that is chosen by name, for recipes and for Sequential. The formulas are in
// ops/activations.h.

#ifndef BITGRAD_MODELS_LAYERS_ACTIVATION_H_
#define BITGRAD_MODELS_LAYERS_ACTIVATION_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/models/layers/layer.h"

namespace bitgrad {

struct ActivationInfo {
  const char* name;
  Var (*apply)(const Var& x);
  const char* help;
};

// "identity", "relu", "leaky_relu", "hardtanh", "sigmoid", "tanh".
absl::Span<const ActivationInfo> AllActivations();

class Activation final : public Layer {
 public:
  // The activation of that name. NotFound, with the known names, if there is none.
  static absl::StatusOr<Activation> Named(absl::string_view name);
  explicit Activation(Var (*apply)(const Var& x)) : apply_(apply) {}
  Var operator()(const Var& x) override { return apply_(x); }

 private:
  Var (*apply_)(const Var& x);
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_ACTIVATION_H_
