#include "bitgrad/models/layers/conv2d.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/arithmetic.h"

namespace bitgrad {
namespace {

int64_t GroupsOf(const Conv2dOptions& options) { return std::max<int64_t>(1, options.groups); }

Shape WeightShape(const Conv2dOptions& options) {
  return {options.out, options.kernel.height, options.kernel.width, options.in / GroupsOf(options)};
}

int64_t FanIn(const Conv2dOptions& options) {
  return options.kernel.height * options.kernel.width * options.in / GroupsOf(options);
}
int64_t FanOut(const Conv2dOptions& options) {
  return options.kernel.height * options.kernel.width * options.out / GroupsOf(options);
}

Initializer WeightInitializer(const Conv2dOptions& options) {
  return Initializer::Uniform(
      options.weight.is_identity() || !options.weight.info().clips_latent
          ? static_cast<float>(std::sqrt(6.0 / static_cast<double>(FanIn(options) + FanOut(options))))
          : options.clip);
}

}  // namespace

Conv2d::Conv2d(const Scope& scope, const Conv2dOptions& options)
    : path_(scope.path()),
      options_(options),
      weight_(scope.NewParameter("weight", WeightShape(options), WeightInitializer(options))),
      bias_(options.bias ? &scope.NewParameter("bias", {options.out}, Initializer::Constant(0)) : nullptr),
      quantize_input_(scope / "input", options.input, QuantizerRole::kActivation, /*rows=*/1),
      quantize_weight_(scope / "weight", options.weight.ForFans(FanIn(options), FanOut(options)),
                       QuantizerRole::kWeight, options.out),
      round_weight_(scope / "weight", options.precision, weight_) {
  if (bias_ != nullptr) round_bias_.emplace(scope / "bias", options.precision, *bias_);
  weight_.max_row_norm = options.max_norm;
  if (options.in <= 0 || options.out <= 0 || options.kernel.height <= 0 || options.kernel.width <= 0 ||
      options.groups <= 0 || options.in % GroupsOf(options) != 0 || options.out % GroupsOf(options) != 0) {
    scope.ReportError(absl::StrCat(
        "conv2d: in = ", options.in, ", out = ", options.out, " and kernel = [", options.kernel.height, ", ",
        options.kernel.width, "] have to be positive, and groups = ", options.groups, " has to divide in and out"));
  }
  if (!(options.clip > 0)) {
    scope.ReportError(absl::StrCat("conv2d: clip = ", options.clip, " has to be positive"));
  }
  if (!(options.max_norm >= 0)) {
    scope.ReportError(absl::StrCat("conv2d: max_norm = ", options.max_norm, " must not be negative"));
  }
  quantize_weight_.SetUpWeight(weight_, FanIn(options), FanOut(options), options.clip);
}

Var Conv2d::operator()(const Var& x) {
  Tape* tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  const Var input = quantize_input_(x);
  const Var y =
      Convolution(input, quantize_weight_(round_weight_(*tape)),
                  {.stride = options_.stride,
                   .pad = options_.pad,
                   .dilation = options_.dilation,
                   .groups = options_.groups,
                   .padding = options_.padding},
                  {.gradient = options_.gradient, .input_for_weight_gradient = options_.input_for_weight_gradient});
  return bias_ == nullptr ? y : Add(y, (*round_bias_)(*tape));
}

}  // namespace bitgrad
