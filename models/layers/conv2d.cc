#include "bitgrad/models/layers/conv2d.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/channel_scale.h"

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
      options.weight.is_identity()
          ? static_cast<float>(std::sqrt(6.0 / static_cast<double>(FanIn(options) + FanOut(options))))
          : options.clip);
}

// The mean depends on the weights alone. Evaluation records it as a constant, so that an exporter finds its value on
// the tape.
Var MeanAbsScale(Tape& tape, const Var& w) {
  const Var alpha = MeanAbs(w);
  if (tape.training()) return alpha;
  const absl::StatusOr<const Tensor*> value = tape.Value(alpha);
  return value.ok() ? tape.Input((*value)->Alias()) : alpha;
}

}  // namespace

Conv2d::Conv2d(const Scope& scope, const Conv2dOptions& options)
    : path_(scope.path()),
      options_(options),
      weight_(scope.NewParameter("weight", WeightShape(options), WeightInitializer(options))) {
  if (options.in <= 0 || options.out <= 0 || options.kernel.height <= 0 || options.kernel.width <= 0 ||
      options.groups <= 0 || options.in % GroupsOf(options) != 0 || options.out % GroupsOf(options) != 0) {
    scope.ReportError(absl::StrCat(
        "conv2d: in = ", options.in, ", out = ", options.out, " and kernel = [", options.kernel.height, ", ",
        options.kernel.width, "] have to be positive, and groups = ", options.groups, " has to divide in and out"));
  }
  if (!(options.clip > 0)) {
    scope.ReportError(absl::StrCat("conv2d: clip = ", options.clip, " has to be positive"));
  }
  weight_.decays = true;
  weight_.fan_in = FanIn(options);
  weight_.fan_out = FanOut(options);
  weight_.kind = options.weight.is_identity() ? ParameterKind::kWeight : ParameterKind::kQuantizedWeight;
  weight_.encoding = options.weight.encoding();
  if (weight_.is_quantized()) weight_.ClipTo(options.clip);
  if (options.scale == ChannelScale::kLearned) {
    alpha_ = &scope.NewParameter("scale", {options.out}, Initializer::Constant(1));
  }
  if (options.bias) bias_ = &scope.NewParameter("bias", {options.out}, Initializer::Constant(0));
}

Var Conv2d::operator()(const Var& x) {
  Tape* tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  const Var w = tape->Use(weight_);
  Var y = Convolution(x, w,
                      {.stride = options_.stride,
                       .pad = options_.pad,
                       .dilation = options_.dilation,
                       .groups = options_.groups,
                       .padding = options_.padding},
                      {options_.input, options_.weight, options_.gradient});
  if (options_.scale == ChannelScale::kMeanAbs) y = Mul(y, MeanAbsScale(*tape, w));
  if (alpha_ != nullptr) y = Mul(y, tape->Use(*alpha_));
  return bias_ == nullptr ? y : Add(y, tape->Use(*bias_));
}

}  // namespace bitgrad
