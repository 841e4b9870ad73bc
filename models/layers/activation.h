// Activations that are chosen by a text, for recipes and for Sequential: pointwise functions, and those that learn.
//
//   BITGRAD_ASSIGN_OR_RETURN(const ActivationForm form, ActivationForm::Parse("spline(21, 1)"));
//   net.Add<Activation>(form, scope / "hidden1", /*width=*/128);
//
//   identity, relu, leaky_relu, hardtanh, sigmoid, tanh    ops/activations.h
//   prelu                                                  x > 0 ? x : a_n x, a_n learned, from 0.25 (He et al., 2015)
//   spline(KNOTS, RANGE, ...)                              a learned linear spline (layers/spline.h)
//
// What is learned is learned for each channel n of the last dimension.

#ifndef BITGRAD_MODELS_LAYERS_ACTIVATION_H_
#define BITGRAD_MODELS_LAYERS_ACTIVATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"

namespace bitgrad {

class ActivationForm {
 public:
  // Makes the layer for inputs [.., width], with its parameters below the scope.
  using Maker = std::function<std::unique_ptr<Layer>(const Scope& scope, int64_t width)>;

  // NotFound, with the known names, where no activation has the name; InvalidArgument for what it cannot take in
  // brackets.
  static absl::StatusOr<ActivationForm> Parse(absl::string_view text);

  ActivationForm(const char* name, Maker maker) : name_(name), maker_(std::move(maker)) {}
  absl::string_view name() const { return name_; }
  std::unique_ptr<Layer> Make(const Scope& scope, int64_t width) const { return maker_(scope, width); }

 private:
  const char* name_;
  Maker maker_;
};

struct ActivationInfo {
  const char* name;
  // From what stands in the brackets; empty without them.
  absl::StatusOr<ActivationForm::Maker> (*parse)(absl::string_view arguments);
  const char* help;
};

absl::Span<const ActivationInfo> AllActivations();

class Activation final : public Layer {
 public:
  Activation(const ActivationForm& form, const Scope& scope, int64_t width) : layer_(form.Make(scope, width)) {}
  Var operator()(const Var& x) override { return (*layer_)(x); }

 private:
  std::unique_ptr<Layer> layer_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_ACTIVATION_H_
