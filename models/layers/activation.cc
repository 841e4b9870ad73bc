#include "bitgrad/models/layers/activation.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/models/layers/spline.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"

namespace bitgrad {
namespace {

using Maker = ActivationForm::Maker;

class Pointwise final : public Layer {
 public:
  explicit Pointwise(Var (*apply)(const Var& x)) : apply_(apply) {}
  Var operator()(const Var& x) override { return apply_(x); }

 private:
  Var (*apply_)(const Var& x);
};

// relu(x) + a (x - relu(x)): the second term is x below 0 and 0 above, so that both pieces are exact.
class Prelu final : public Layer {
 public:
  Prelu(const Scope& scope, int64_t width)
      : path_(scope.path()), slope_(scope.NewParameter("slope", {width}, Initializer::Constant(0.25f))) {}
  Var operator()(const Var& x) override {
    if (x.tape() == nullptr) return Var();
    Tape::LayerScope layer(*x.tape(), path_);
    const Var positive = Relu(x);
    return Add(positive, Mul(Sub(x, positive), x.tape()->Use(slope_)));
  }

 private:
  std::string path_;
  Parameter& slope_;
};

absl::Status NoArguments(absl::string_view arguments) {
  if (arguments.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("it takes nothing in brackets, and has '", arguments, "'"));
}

template <Var (*apply)(const Var& x)>
absl::StatusOr<Maker> ParsePointwise(absl::string_view arguments) {
  if (const absl::Status status = NoArguments(arguments); !status.ok()) return status;
  return Maker([](const Scope&, int64_t) { return std::make_unique<Pointwise>(apply); });
}

absl::StatusOr<Maker> ParsePrelu(absl::string_view arguments) {
  if (const absl::Status status = NoArguments(arguments); !status.ok()) return status;
  return Maker([](const Scope& scope, int64_t width) { return std::make_unique<Prelu>(scope / "prelu", width); });
}

absl::StatusOr<Maker> ParseSpline(absl::string_view arguments) {
  const absl::StatusOr<SplineLayerOptions> options = ParseSplineOptions(arguments);
  if (!options.ok()) return options.status();
  return Maker([options = *options](const Scope& scope, int64_t width) {
    return std::make_unique<SplineLayer>(scope / kSplineScope, width, options);
  });
}

Var Identity(const Var& x) { return x; }
Var DefaultLeakyRelu(const Var& x) { return LeakyRelu(x); }

constexpr ActivationInfo kActivations[] = {
    {"identity", ParsePointwise<Identity>, "x"},
    {"relu", ParsePointwise<Relu>, "max(x, 0)"},
    {"leaky_relu", ParsePointwise<DefaultLeakyRelu>, "x > 0 ? x : 0.01 x"},
    {"hardtanh", ParsePointwise<Hardtanh>, "clip(x, -1, 1)"},
    {"sigmoid", ParsePointwise<Sigmoid>, "1 / (1 + exp(-x))"},
    {"tanh", ParsePointwise<Tanh>, "tanh(x)"},
    {"prelu", ParsePrelu, "x > 0 ? x : a x, a learned for each channel"},
    {"spline", ParseSpline, "spline(KNOTS, RANGE): a linear spline that is learned for each channel"},
};

}  // namespace

absl::Span<const ActivationInfo> AllActivations() { return kActivations; }

absl::StatusOr<ActivationForm> ActivationForm::Parse(absl::string_view text) {
  const size_t bracket = text.find('(');
  const absl::string_view name = absl::StripAsciiWhitespace(text.substr(0, bracket));
  absl::string_view arguments;
  if (bracket != absl::string_view::npos) {
    const absl::string_view rest = absl::StripAsciiWhitespace(text.substr(bracket + 1));
    if (rest.empty() || rest.back() != ')' || rest.size() == 1) {
      return absl::InvalidArgumentError(absl::StrCat("activation '", text, "' is not of the form name(arguments)"));
    }
    arguments = rest.substr(0, rest.size() - 1);
  }
  std::vector<std::string> names;
  for (const ActivationInfo& info : kActivations) {
    names.push_back(info.name);
    if (name != info.name) continue;
    absl::StatusOr<Maker> maker = info.parse(arguments);
    if (maker.ok()) return ActivationForm(info.name, *std::move(maker));
    return absl::Status(maker.status().code(), absl::StrCat("activation '", text, "': ", maker.status().message()));
  }
  return absl::NotFoundError(absl::StrCat("unknown activation '", name, "'", DidYouMean(name, names),
                                          "; known: ", absl::StrJoin(names, ", ")));
}

}  // namespace bitgrad
