#include "bitgrad/models/layers/spline.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bitgrad/ops/spline.h"

namespace bitgrad {
namespace {

float InitialValue(SplineInit init, double x, int64_t channel, int64_t channels) {
  switch (init) {
    case SplineInit::kLeakyRelu: return static_cast<float>(x > 0 ? x : 0.01 * x);
    case SplineInit::kRelu: return static_cast<float>(std::max(x, 0.0));
    case SplineInit::kEvenOdd:
      return static_cast<float>(channel < channels / 2 ? std::fabs(x) : x - std::clamp(x, -0.5, 0.5));
  }
  return 0;
}

absl::Status ReadOption(absl::string_view option, SplineLayerOptions& options) {
  if (option == "leaky_relu") {
    options.init = SplineInit::kLeakyRelu;
  } else if (option == "relu") {
    options.init = SplineInit::kRelu;
  } else if (option == "even_odd") {
    options.init = SplineInit::kEvenOdd;
  } else if (option == "linear") {
    options.linear = true;
  } else if (absl::ConsumePrefix(&option, "threshold=")) {
    if (!absl::SimpleAtof(option, &options.threshold) || !(options.threshold >= 0) ||
        !std::isfinite(options.threshold)) {
      return absl::InvalidArgumentError(
          absl::StrCat("threshold ", option, "; it has to be a number that is not negative"));
    }
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", option, "' is none of leaky_relu, relu, even_odd (what it begins as), linear, threshold=NUMBER"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SplineLayerOptions> ParseSplineOptions(absl::string_view arguments) {
  std::vector<absl::string_view> parts = absl::StrSplit(arguments, ',');
  for (absl::string_view& part : parts) part = absl::StripAsciiWhitespace(part);
  SplineLayerOptions options;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &options.grid.knots) ||
      !absl::SimpleAtof(parts[1], &options.grid.range)) {
    return absl::InvalidArgumentError("it takes the number of knots and the range: spline(21, 1)");
  }
  if (const absl::Status status = options.grid.status(); !status.ok()) return status;
  for (size_t i = 2; i < parts.size(); ++i) {
    if (const absl::Status status = ReadOption(parts[i], options); !status.ok()) return status;
  }
  return options;
}

SplineLayer::SplineLayer(const Scope& scope, int64_t channels, const SplineLayerOptions& options)
    : path_(scope.path()),
      options_(options),
      coefficients_(scope.NewUnsetParameter("coefficients", {channels, options.grid.knots})) {
  coefficients_.kind = ParameterKind::kSpline;
  if (options.linear) {
    constant_ = &scope.NewParameter("constant", {channels}, Initializer::Constant(0));
    slope_ = &scope.NewParameter("slope", {channels}, Initializer::Constant(0));
    constant_->kind = slope_->kind = ParameterKind::kSpline;
  }
  // Those of a model that continues another one are set.
  if (coefficients_.is_set) return;
  coefficients_.is_set = true;
  if (coefficients_.value.shape() != Shape({channels, options.grid.knots})) return;  // there is an error, or no memory
  float* c = coefficients_.value.mutable_data<float>();
  for (int64_t n = 0; n < channels; ++n) {
    for (int64_t k = 0; k < options.grid.knots; ++k) {
      const double x = static_cast<double>(k - options.grid.knots / 2) * options.grid.step();
      *c++ = InitialValue(options.init, x, n, channels);
    }
  }
}

Var SplineLayer::operator()(const Var& x) {
  Tape* const tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  const float range = options_.grid.range;
  Var c = tape->Use(coefficients_);
  if (options_.linear) c = AddLinearTerm(c, tape->Use(*constant_), tape->Use(*slope_), range);
  if (options_.threshold > 0 && !tape->training()) c = Sparsify(c, range, options_.threshold);
  return Spline(x, c, range, options_.threshold);
}

}  // namespace bitgrad
