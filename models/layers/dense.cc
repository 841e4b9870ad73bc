#include "bitgrad/models/layers/dense.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantize.h"

namespace bitgrad {
namespace {

Initializer WeightInitializer(const DenseOptions& options) {
  return Initializer::Uniform(options.weight.is_identity()
                                  ? static_cast<float>(std::sqrt(6.0 / static_cast<double>(options.in + options.out)))
                                  : options.clip);
}

}  // namespace

Dense::Dense(const Scope& scope, const DenseOptions& options)
    : path_(scope.path()),
      options_(options),
      weight_(scope.NewParameter("weight", {options.out, options.in}, WeightInitializer(options))) {
  if (options.in <= 0 || options.out <= 0) {
    scope.ReportError(absl::StrCat("dense: in = ", options.in, " and out = ", options.out, " have to be positive"));
  }
  if (!(options.clip > 0)) {
    scope.ReportError(absl::StrCat("dense: clip = ", options.clip, " has to be positive"));
  }
  weight_.decays = true;
  weight_.fan_in = options.in;
  weight_.fan_out = options.out;
  weight_.kind = options.weight.is_identity() ? ParameterKind::kWeight : ParameterKind::kQuantizedWeight;
  weight_.encoding = options.weight.encoding();
  if (weight_.is_quantized()) weight_.ClipTo(options.clip);
  if (options.bias) bias_ = &scope.NewParameter("bias", {options.out}, Initializer::Constant(0));
}

Var Dense::operator()(const Var& x) {
  Tape* tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  LinearQuantizers quantizers = {options_.input, options_.weight, options_.gradient};
  Var input = x;
  if (options_.input_keep < 1.0f && tape->training()) {
    input = ApplyDropout(Quantize(x, options_.input), options_.input_keep);
    quantizers.input = Quantizer();
  }
  Var y = Linear(input, tape->Use(weight_), quantizers);
  return bias_ == nullptr ? y : Add(y, tape->Use(*bias_));
}

}  // namespace bitgrad
