#include "bitgrad/models/training/discrete_mlp_recipe.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/ops/quantize.h"

namespace bitgrad {
namespace {

// Codes are kept as int16.
constexpr int64_t kMostCode = 32767;

template <typename... What>
absl::Status Invalid(absl::string_view field, const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat("recipe: ", field, ": ", what...));
}

absl::Status CheckValues(const recipe::CoordinateDescent& descent) {
  const std::vector<int32_t> values = DiscreteValuesOf(descent);
  if (values.size() < 2) {
    return Invalid("coordinate_descent.values", "there is one value, ", values[0],
                   ", so that there is nothing to choose; give two or more, such as -1, 0, 1");
  }
  if (std::set<int32_t>(values.begin(), values.end()).size() != values.size()) {
    return Invalid("coordinate_descent.values", absl::StrJoin(values, ", "),
                   " has a value twice; give each of them once");
  }
  for (const int32_t value : values) {
    if (std::abs(int64_t{value}) <= kMostCode) continue;
    return Invalid("coordinate_descent.values", value, " is not in [-", kMostCode, ", ", kMostCode, "]");
  }
  for (const double value : descent.bias_values()) {
    if (!std::isfinite(static_cast<float>(value))) {
      return Invalid("coordinate_descent.bias_values", value, " is not finite");
    }
  }
  const auto most = std::max<int64_t>(static_cast<int64_t>(values.size()), descent.bias_values_size());
  if (most > kMostDiscreteValues) {
    return Invalid("coordinate_descent", "there are ", most, " values; the search tries each of them, at most ",
                   kMostDiscreteValues);
  }
  const double sweeps = descent.has_sweeps_per_epoch() ? descent.sweeps_per_epoch() : 1;
  if (!(sweeps > 0 && sweeps <= 1000)) {
    return Invalid("coordinate_descent.sweeps_per_epoch", sweeps, " is not in (0, 1000]");
  }
  return absl::OkStatus();
}

// Fields that ask for what this learner does not do.
absl::Status CheckNothingElse(const recipe::Recipe& recipe) {
  const struct {
    bool is_set;
    const char* field;
  } others[] = {{recipe.has_optimizer(), "optimizer"},
                {recipe.has_schedule(), "schedule"},
                {recipe.phase_size() > 0, "phase"},
                {recipe.has_loss_scale(), "loss_scale"},
                {recipe.data().augmentation_size() > 0, "data.augmentation"},
                {recipe.model().has_scale_penalty(), "model.scale_penalty"},
                {recipe.model().has_bit_cost(), "model.bit_cost"},
                {recipe.model().has_spline_penalty(), "model.spline_penalty"}};
  for (const auto& other : others) {
    if (other.is_set) return Invalid(other.field, "coordinate descent has no use for it; leave it out");
  }
  return absl::OkStatus();
}

absl::Status CheckNetwork(const recipe::Model& model) {
  if (!model.has_mlp()) {
    return Invalid("model", "coordinate descent can evaluate an mlp alone; use model { mlp { ... } }, or an optimizer");
  }
  const recipe::Mlp& mlp = model.mlp();
  if (mlp.norm().kind() != recipe::BatchNorm::NONE) {
    return Invalid("model.mlp.norm", "coordinate descent cannot evaluate batch norm, whose statistics change with ",
                   "every weight; set norm { kind: NONE }");
  }
  const struct {
    bool is_set;
    const char* field;
  } others[] = {{mlp.has_input_keep() && mlp.input_keep() < 1, "input_keep"},
                {mlp.has_hidden_keep() && mlp.hidden_keep() < 1, "hidden_keep"},
                {mlp.maxout_pieces() > 0, "maxout_pieces"},
                {mlp.has_max_norm(), "max_norm"},
                {mlp.has_precision(), "precision"},
                {mlp.float_ends(), "float_ends"},
                {mlp.has_hidden_bias() && !mlp.hidden_bias(), "hidden_bias"}};
  for (const auto& other : others) {
    if (!other.is_set) continue;
    return Invalid(absl::StrCat("model.mlp.", other.field), "coordinate descent cannot evaluate it; leave it out");
  }
  BITGRAD_RETURN_IF_ERROR(ReadFixedActivation("activation", mlp.activation()).status());
  return ReadFixedActivation("last_activation", mlp.last_activation()).status();
}

}  // namespace

std::vector<int32_t> DiscreteValuesOf(const recipe::CoordinateDescent& descent) {
  if (descent.values_size() == 0) return {-1, 0, 1};
  return {descent.values().begin(), descent.values().end()};
}

absl::StatusOr<Quantizer> ReadIntegerQuantizer(const char* name, const std::string& text, QuantizerRole role) {
  const std::string field = absl::StrCat("model.mlp.", name);
  Quantizer quantizer;
  BITGRAD_RETURN_IF_ERROR(ReadQuantizer(field, text, role, quantizer));
  quantizer = quantizer.In(role);
  const char* const suggestion =
      role == QuantizerRole::kWeight ? "\"ternary\" or \"sign\"" : "\"k_bit(8)\", \"dorefa_activation(8)\" or \"sign\"";
  const Encoding encoding = quantizer.encoding();
  const bool fits = encoding.is_integer() && encoding.bits <= 8;
  if (!fits || (role == QuantizerRole::kActivation && encoding.max_code() > kMostCode)) {
    return Invalid(field, "coordinate descent adds up integers, and '", quantizer.ToString(),
                   "' has no integer codes of 16 bits; use one that has, such as ", suggestion);
  }
  if (!quantizer.is_fixed() || quantizer.info().stochastic) {
    return Invalid(field, "the codes or the scale of '", quantizer.ToString(),
                   "' are random, or depend on other values of the tensor; use one that is fixed, such as ",
                   suggestion);
  }
  return quantizer;
}

absl::StatusOr<std::unique_ptr<Layer>> ReadFixedActivation(const char* name, const std::string& text) {
  const std::string field = absl::StrCat("model.mlp.", name);
  std::string known = "identity";
  BITGRAD_RETURN_IF_ERROR(ReadActivation(field, text, known));
  BITGRAD_ASSIGN_OR_RETURN(const ActivationForm form, ActivationForm::Parse(known));
  ParameterStore learned(/*seed=*/0);
  std::unique_ptr<Layer> layer = form.Make(learned.Root(), 1);
  if (!learned.parameters().empty()) {
    return Invalid(field, "coordinate descent changes weights alone, and '", text,
                   "' is learned; use a fixed function, such as \"relu\" or \"identity\"");
  }
  return layer;
}

absl::StatusOr<std::vector<float>> QuantizedByGraph(ExecContext& context, std::vector<float> x, Layer* activation,
                                                    const Quantizer& quantizer) {
  Tensor tensor({1, static_cast<int64_t>(x.size())}, DType::kFloat32);
  std::copy(x.begin(), x.end(), tensor.mutable_data<float>());
  Tape tape(context, Mode::kEval);
  Var y = tape.Input(tensor);
  if (activation != nullptr) y = (*activation)(y);
  y = Quantize(y, quantizer);
  BITGRAD_ASSIGN_OR_RETURN(const Tensor* result, tape.Value(y));
  BITGRAD_RETURN_IF_ERROR(tape.status());
  std::copy_n(result->data<float>(), x.size(), x.begin());
  return x;
}

absl::StatusOr<std::vector<float>> LatentOf(absl::Span<const int32_t> values, const Quantizer& quantizer) {
  const Quantizer weight = quantizer.ForFans(1, 1);
  const float scale = weight.scale(1);
  const auto most = static_cast<float>(weight.encoding().max_code());
  ExecContext host({.threads = 1});
  std::vector<float> latent;
  for (const int32_t value : values) {
    const auto code = static_cast<float>(value);
    absl::optional<float> found;
    for (const float candidate : {code, code / most, code * scale}) {
      BITGRAD_ASSIGN_OR_RETURN(const std::vector<float> quantized,
                               QuantizedByGraph(host, {candidate}, nullptr, weight));
      // Parameters of quantized weights are clipped to [-1, 1] by everything else that trains them.
      if (quantized[0] == code * scale && std::abs(candidate) <= 1) found = found.value_or(candidate);
    }
    if (!found.has_value()) {
      return Invalid("coordinate_descent.values", value, " is no code of model.mlp.weight_quantizer '",
                     quantizer.ToString(), "', whose codes have sizes up to ", weight.encoding().max_code(),
                     "; use other values, or another weight quantizer");
    }
    latent.push_back(*found);
  }
  return latent;
}

absl::Status CheckCoordinateDescent(const recipe::Recipe& recipe) {
  BITGRAD_RETURN_IF_ERROR(CheckValues(recipe.coordinate_descent()));
  BITGRAD_RETURN_IF_ERROR(CheckNothingElse(recipe));
  BITGRAD_RETURN_IF_ERROR(CheckNetwork(recipe.model()));
  const recipe::Mlp& mlp = recipe.model().mlp();
  BITGRAD_RETURN_IF_ERROR(
      ReadIntegerQuantizer("input_quantizer", mlp.input_quantizer(), QuantizerRole::kActivation).status());
  if (mlp.hidden_size() > 0) {
    BITGRAD_RETURN_IF_ERROR(
        ReadIntegerQuantizer("activation_quantizer", mlp.activation_quantizer(), QuantizerRole::kActivation).status());
  }
  BITGRAD_ASSIGN_OR_RETURN(const Quantizer weight,
                           ReadIntegerQuantizer("weight_quantizer", mlp.weight_quantizer(), QuantizerRole::kWeight));
  return LatentOf(DiscreteValuesOf(recipe.coordinate_descent()), weight).status();
}

}  // namespace bitgrad
