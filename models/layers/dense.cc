#include "bitgrad/models/layers/dense.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/linear.h"

namespace bitgrad {
namespace {

Initializer WeightInitializer(const DenseOptions& options) {
  if (options.starts_at_zero) return Initializer::Constant(0);
  if (options.initial_range.has_value()) return Initializer::Uniform(*options.initial_range);
  return Initializer::Uniform(options.weight.is_identity() || !options.weight.info().clips_latent
                                  ? static_cast<float>(std::sqrt(6.0 / static_cast<double>(options.in + options.out)))
                                  : options.clip);
}

}  // namespace

Dense::Dense(const Scope& scope, const DenseOptions& options)
    : path_(scope.path()),
      options_(options),
      weight_(options.tied_weight != nullptr
                  ? *options.tied_weight
                  : scope.NewParameter("weight", {options.out, options.in}, WeightInitializer(options))),
      bias_(options.bias ? &scope.NewParameter("bias", {options.out}, Initializer::Constant(0)) : nullptr),
      quantize_input_(scope / "input", options.input, QuantizerRole::kActivation, /*rows=*/1),
      quantize_weight_(scope / "weight", options.weight.ForFans(options.in, options.out), QuantizerRole::kWeight,
                       options.out),
      round_weight_(scope / "weight", options.precision, weight_) {
  if (bias_ != nullptr) round_bias_.emplace(scope / "bias", options.precision, *bias_);
  weight_.max_row_norm = options.max_norm;
  if (options.in <= 0 || options.out <= 0) {
    scope.ReportError(absl::StrCat("dense: in = ", options.in, " and out = ", options.out, " have to be positive"));
  }
  if (!(options.clip > 0)) {
    scope.ReportError(absl::StrCat("dense: clip = ", options.clip, " has to be positive"));
  }
  if (!(options.max_norm >= 0)) {
    scope.ReportError(absl::StrCat("dense: max_norm = ", options.max_norm, " must not be negative"));
  }
  quantize_weight_.SetUpWeight(weight_, options.in, options.out, options.clip);
}

Var Dense::operator()(const Var& x) {
  Tape* tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  Var input = quantize_input_(x, QuantizedRows::kLastDimension);
  if (options_.input_keep < 1.0f) {
    // Values are dropped after they were quantized. Quantizing by the identity takes the stream of random numbers that
    // a layer's second quantization of its input has always taken.
    input = ApplyDropout(input, options_.input_keep, options_.dropout_scaling);
    if (tape->training()) input = Quantize(input, Quantizer());
  }
  const Var y =
      Linear(input, quantize_weight_(round_weight_(*tape)),
             {.gradient = options_.gradient, .input_for_weight_gradient = options_.input_for_weight_gradient});
  return bias_ == nullptr ? y : Add(y, (*round_bias_)(*tape));
}

}  // namespace bitgrad
