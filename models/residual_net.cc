#include "bitgrad/models/residual_net.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/residual.h"

namespace bitgrad {
namespace {

void AddNorm(const Scope& scope, const ResidualNetOptions& options, int64_t features, Sequential& layers) {
  layers.Add<BatchNorm2d>(scope, BatchNormLayerOptions{.features = features, .norm = options.norm});
}

std::unique_ptr<Layer> Shortcut(const Scope& scope, const ResidualNetOptions& options, int64_t in, int64_t out,
                                int64_t stride) {
  auto shortcut = std::make_unique<Sequential>();
  shortcut->Add<Conv2d>(scope / "conv", Conv2dOptions{.in = in, .out = out, .kernel = 1, .stride = stride});
  AddNorm(scope / "norm", options, out, *shortcut);
  return shortcut;
}

}  // namespace

ResidualNet::ResidualNet(const Scope& scope, const ResidualNetOptions& options)
    : store_(scope.store()), connection_(options.connection) {
  const absl::StatusOr<ActivationForm> activation = ActivationForm::Parse(options.activation);
  if (!activation.ok()) {
    scope.ReportError(activation.status().message());
    return;
  }
  if (connection_ == ResidualConnection::kShiftAttention || connection_ == ResidualConnection::kSharedShiftAttention) {
    choice_.temperature = &scope.NewScalar("temperature", options.temperature);
  }
  const auto add_activation = [&](const Scope& at, int64_t features) {
    layers_.Add<Activation>(*activation, at, features);
  };
  if (!AddResidualStem(scope, "residual_net", options, layers_,
                       [&](const Scope& stem) { add_activation(stem / "act", options.stem_filters); })) {
    return;
  }
  AddResidualStages(scope, options, layers_, [&](const Scope& at, const ResidualBlock& block) {
    layers_.Add<Residual>(
        at, Body(at, options, *activation, block.in, block.out, block.stride),
        block.changes_shape() ? Shortcut(at / "shortcut", options, block.in, block.out, block.stride) : nullptr);
    add_activation(at / "act2", block.out);
  });
}

void ResidualNet::AddConnection(const Scope& scope, const ResidualNetOptions& options, int64_t in, int64_t out,
                                int64_t stride, Sequential& layers) {
  const ShiftLayerOptions shift = {.in = in,
                                   .out = out,
                                   .stride = stride,
                                   .shared = options.connection == ResidualConnection::kSharedShiftAttention,
                                   .input = options.activation_quantizer,
                                   .weight = options.weight,
                                   .gradient = options.gradient,
                                   .input_for_weight_gradient = options.input_for_weight_gradient,
                                   .clip = options.clip};
  const auto kernels = static_cast<double>(in * out), taps = static_cast<double>(shift.kernel * shift.kernel);
  // 4 bits for each index.
  const double indices = connection_ == ResidualConnection::kShiftAttention ? kernels : static_cast<double>(in);
  switch (connection_) {
    case ResidualConnection::kShiftAttention:
    case ResidualConnection::kSharedShiftAttention:
      attention_.push_back(&layers.Add<ShiftAttentionConv2d>(scope, shift, choice_));
      kept_minus_learned_ += kernels + indices / 8 - taps * (kernels + indices);
      return;
    case ResidualConnection::kShift:
      layers.Add<ShiftConv2d>(scope, shift, choice_);
      kept_minus_learned_ += indices / 8;
      return;
    case ResidualConnection::kConv: break;
  }
  layers.Add<Conv2d>(scope, Conv2dOptions{.in = in,
                                          .out = out,
                                          .kernel = 3,
                                          .stride = stride,
                                          .pad = 1,
                                          .input = options.activation_quantizer,
                                          .weight = options.weight,
                                          .gradient = options.gradient,
                                          .input_for_weight_gradient = options.input_for_weight_gradient,
                                          .clip = options.clip});
}

std::unique_ptr<Layer> ResidualNet::Body(const Scope& scope, const ResidualNetOptions& options,
                                         const ActivationForm& activation, int64_t in, int64_t out, int64_t stride) {
  auto body = std::make_unique<Sequential>();
  AddConnection(scope / "conv1", options, in, out, stride, *body);
  AddNorm(scope / "norm1", options, out, *body);
  body->Add<Activation>(activation, scope / "act1", out);
  AddConnection(scope / "conv2", options, out, out, 1, *body);
  AddNorm(scope / "norm2", options, out, *body);
  return body;
}

absl::Status ResidualNet::Harden(ExecContext& context) {
  hardened_ = true;
  choice_.hard = true;
  return SequentialModel::Harden(context);
}

bool ResidualNet::AnswerAsFrozen(bool frozen) {
  choice_.hard = frozen || hardened_;
  return !attention_.empty();
}

double ResidualNet::KeptParameters() const {
  return static_cast<double>(store_.trainable_elements()) + kept_minus_learned_;
}

std::string ResidualNet::Description() {
  if (connection_ == ResidualConnection::kConv) return "";
  return absl::StrFormat(
      "parameters: %.1f once hardened (one weight per kernel, and a 4-bit index of its tap per %s), "
      "%d while training\n",
      KeptParameters(), connection_ == ResidualConnection::kShiftAttention ? "kernel" : "input channel",
      store_.trainable_elements());
}

std::vector<ModelValue> ResidualNet::Report(ExecContext& context) {
  std::vector<ModelValue> values;
  int64_t zero = 0;
  for (const ShiftAttentionConv2d* layer : attention_) {
    const int64_t of_layer = layer->ZeroKernels(context);
    values.push_back({layer->path(), "zero_kernels", static_cast<double>(of_layer)});
    zero += of_layer;
  }
  if (!attention_.empty()) values.push_back({"", "zero_kernels", static_cast<double>(zero)});
  const std::vector<ModelValue> others = SequentialModel::Report(context);
  values.insert(values.end(), others.begin(), others.end());
  return values;
}

}  // namespace bitgrad
