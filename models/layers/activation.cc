#include "bitgrad/models/layers/activation.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/ops/activations.h"

namespace bitgrad {
namespace {

constexpr ActivationInfo kActivations[] = {
    {"identity", [](const Var& x) { return x; }, "x"},
    {"relu", [](const Var& x) { return Relu(x); }, "max(x, 0)"},
    {"leaky_relu", [](const Var& x) { return LeakyRelu(x); }, "x > 0 ? x : 0.01 x"},
    {"hardtanh", [](const Var& x) { return Hardtanh(x); }, "clip(x, -1, 1)"},
    {"sigmoid", [](const Var& x) { return Sigmoid(x); }, "1 / (1 + exp(-x))"},
    {"tanh", [](const Var& x) { return Tanh(x); }, "tanh(x)"},
};

}  // namespace

absl::Span<const ActivationInfo> AllActivations() { return kActivations; }

absl::StatusOr<Activation> Activation::Named(absl::string_view name) {
  std::vector<std::string> names;
  for (const ActivationInfo& info : kActivations) {
    if (name == info.name) return Activation(info.apply);
    names.push_back(info.name);
  }
  return absl::NotFoundError(absl::StrCat("unknown activation '", name, "'", DidYouMean(name, names),
                                          "; known: ", absl::StrJoin(names, ", ")));
}

}  // namespace bitgrad
