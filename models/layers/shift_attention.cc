#include "bitgrad/models/layers/shift_attention.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/shift_channels.h"
#include "bitgrad/ops/tap_attention.h"

namespace bitgrad {
namespace {

// Of a kernel of one tap, or of kernel^2.
struct Fans {
  int64_t in, out;
};

Fans FansOf(const ShiftLayerOptions& options, int64_t kernel) {
  return {kernel * kernel * options.in, kernel * kernel * options.out};
}

Initializer WeightInitializer(const ShiftLayerOptions& options, const Fans& fans) {
  return Initializer::Uniform(options.weight.is_identity() || !options.weight.info().clips_latent
                                  ? static_cast<float>(std::sqrt(6.0 / static_cast<double>(fans.in + fans.out)))
                                  : options.clip);
}

void Check(const Scope& scope, const ShiftLayerOptions& options) {
  if (options.in <= 0 || options.out <= 0 || options.stride <= 0 || options.kernel < 2 || options.kernel > 3) {
    scope.ReportError(absl::StrCat("shift: in = ", options.in, ", out = ", options.out, " and stride = ",
                                   options.stride, " have to be positive, and kernel = ", options.kernel, " 2 or 3"));
  }
  if (!(options.clip > 0)) scope.ReportError(absl::StrCat("shift: clip = ", options.clip, " has to be positive"));
}

Var Convolve(const ShiftLayerOptions& options, const Var& x, const Var& w, int64_t stride, int64_t pad) {
  return Convolution(x, w, {.stride = stride, .pad = pad},
                     {.gradient = options.gradient, .input_for_weight_gradient = options.input_for_weight_gradient});
}

}  // namespace

ShiftAttentionConv2d::ShiftAttentionConv2d(const Scope& scope, const ShiftLayerOptions& options,
                                           const TapChoice& choice)
    : path_(scope.path()),
      options_(options),
      choice_(choice),
      weight_(scope.NewParameter("weight", {options.out, options.kernel, options.kernel, options.in},
                                 WeightInitializer(options, FansOf(options, options.kernel)))),
      attention_(scope.NewParameter("attention",
                                    {options.shared ? 1 : options.out, options.kernel, options.kernel, options.in},
                                    Initializer{0.0f, 1.0f})),
      quantize_input_(scope / "input", options.input, QuantizerRole::kActivation, /*rows=*/1),
      quantize_weight_(scope / "weight",
                       options.weight.ForFans(FansOf(options, options.kernel).in, FansOf(options, options.kernel).out),
                       QuantizerRole::kWeight, options.out) {
  Check(scope, options);
  const Fans fans = FansOf(options, options.kernel);
  quantize_weight_.SetUpWeight(weight_, fans.in, fans.out, options.clip);
}

Var ShiftAttentionConv2d::operator()(const Var& x) {
  Tape* const tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  const Var input = quantize_input_(x);
  const Var kernels = TapAttention(quantize_weight_(tape->Use(weight_)), tape->Use(attention_),
                                   tape->Use(*choice_.temperature), choice_.hard);
  return Convolve(options_, input, kernels, options_.stride, options_.kernel / 2);
}

int64_t ShiftAttentionConv2d::ZeroKernels(ExecContext& context) const {
  return CountZeroKernels(context, attention_.value, choice_.temperature->value, options_.out);
}

ShiftConv2d::ShiftConv2d(const Scope& scope, const ShiftLayerOptions& options, const TapChoice& choice)
    : path_(scope.path()),
      options_(options),
      choice_(choice),
      taps_(EvenTaps(options.in, options.kernel)),
      weight_(scope.NewParameter("weight", {options.out, 1, 1, options.in},
                                 WeightInitializer(options, FansOf(options, 1)))),
      quantize_input_(scope / "input", options.input, QuantizerRole::kActivation, /*rows=*/1),
      quantize_weight_(scope / "weight", options.weight.ForFans(options.in, options.out), QuantizerRole::kWeight,
                       options.out) {
  Check(scope, options);
  quantize_weight_.SetUpWeight(weight_, options.in, options.out, options.clip);
}

Var ShiftConv2d::operator()(const Var& x) {
  Tape* const tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  const Var input = quantize_input_(x);
  const Var w = quantize_weight_(tape->Use(weight_));
  if (choice_.hard) {
    return Convolve(options_, input, SpreadOverTaps(w, taps_, options_.kernel), options_.stride, options_.kernel / 2);
  }
  return Convolve(options_, ShiftChannels(input, taps_, options_.kernel, options_.stride), w, 1, 0);
}

}  // namespace bitgrad
