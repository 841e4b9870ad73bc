#include "bitgrad/models/training/discrete_mlp.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/ops/quantize.h"

namespace bitgrad {
namespace {

// Initial values of parameters are drawn at step 0.
constexpr uint32_t kInitialStep = 1;
// Codes are kept as int16.
constexpr int64_t kMostCode = 32767;

template <typename... What>
absl::Status Invalid(absl::string_view field, const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat("recipe: ", field, ": ", what...));
}

std::vector<int32_t> ValuesOf(const recipe::CoordinateDescent& descent) {
  if (descent.values_size() == 0) return {-1, 0, 1};
  return {descent.values().begin(), descent.values().end()};
}

absl::Status CheckValues(const recipe::CoordinateDescent& descent) {
  const std::vector<int32_t> values = ValuesOf(descent);
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
                {recipe.model().has_bit_cost(), "model.bit_cost"}};
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
                {mlp.float_ends(), "float_ends"}};
  for (const auto& other : others) {
    if (!other.is_set) continue;
    return Invalid(absl::StrCat("model.mlp.", other.field), "coordinate descent cannot evaluate it; leave it out");
  }
  return absl::OkStatus();
}

// The operand's quantizer in its role, which has integer codes and a fixed scale.
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

// q(f(x)), by the graph's ops.
absl::StatusOr<std::vector<float>> OnGraph(ExecContext& context, std::vector<float> x, Var (*activation)(const Var&),
                                           const Quantizer& quantizer) {
  Tensor tensor({1, static_cast<int64_t>(x.size())}, DType::kFloat32);
  std::copy(x.begin(), x.end(), tensor.mutable_data<float>());
  Tape tape(context, Mode::kEval);
  Var y = tape.Input(tensor);
  if (activation != nullptr) y = activation(y);
  y = Quantize(y, quantizer);
  BITGRAD_ASSIGN_OR_RETURN(const Tensor* result, tape.Value(y));
  BITGRAD_RETURN_IF_ERROR(tape.status());
  std::copy_n(result->data<float>(), x.size(), x.begin());
  return x;
}

// Floats that the weight quantizer maps to these codes.
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
      BITGRAD_ASSIGN_OR_RETURN(const std::vector<float> quantized, OnGraph(host, {candidate}, nullptr, weight));
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

absl::StatusOr<Var (*)(const Var&)> ActivationNamed(const std::string& name) {
  for (const ActivationInfo& info : AllActivations()) {
    if (name == info.name) return info.apply;
  }
  return absl::NotFoundError(absl::StrCat("there is no activation '", name, "'"));
}

}  // namespace

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
  return LatentOf(ValuesOf(recipe.coordinate_descent()), weight).status();
}

absl::StatusOr<std::unique_ptr<DiscreteMlp>> DiscreteMlp::Create(ExecContext& context, const recipe::Recipe& recipe,
                                                                 Model& model, ParameterStore& store) {
  BITGRAD_RETURN_IF_ERROR(CheckCoordinateDescent(recipe));
  if (context.device() != Device::kCpu) {
    return absl::UnimplementedError("coordinate descent runs on the CPU alone; use --device=cpu");
  }
  const recipe::Mlp& mlp = recipe.model().mlp();
  std::unique_ptr<DiscreteMlp> net(new DiscreteMlp(context, model));
  net->values_ = ValuesOf(recipe.coordinate_descent());
  for (const double value : recipe.coordinate_descent().bias_values()) {
    net->bias_values_.push_back(static_cast<float>(value));
  }
  if (net->bias_values_.empty()) net->bias_values_ = {0};
  BITGRAD_ASSIGN_OR_RETURN(net->input_,
                           ReadIntegerQuantizer("input_quantizer", mlp.input_quantizer(), QuantizerRole::kActivation));
  if (mlp.hidden_size() > 0) {
    BITGRAD_ASSIGN_OR_RETURN(
        net->activation_quantizer_,
        ReadIntegerQuantizer("activation_quantizer", mlp.activation_quantizer(), QuantizerRole::kActivation));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Quantizer weight,
                           ReadIntegerQuantizer("weight_quantizer", mlp.weight_quantizer(), QuantizerRole::kWeight));
  BITGRAD_ASSIGN_OR_RETURN(net->latent_, LatentOf(net->values_, weight));
  int64_t most_weight = 0;
  for (const int32_t value : net->values_) most_weight = std::max<int64_t>(most_weight, std::abs(value));

  for (int i = 0; i <= mlp.hidden_size(); ++i) {
    const bool last = i == mlp.hidden_size();
    Layer layer;
    layer.name = last ? "output" : absl::StrCat("hidden", i + 1);
    layer.weight = store.Find(layer.name + "/weight");
    layer.bias = store.Find(layer.name + "/bias");
    if (layer.weight == nullptr || layer.bias == nullptr) {
      return absl::InternalError(absl::StrCat("the model has no '", layer.name, "/weight' or no bias"));
    }
    layer.out = layer.weight->value.shape().dim(0);
    layer.in = layer.weight->value.shape().dim(1);
    const Quantizer& x = i == 0 ? net->input_ : net->activation_quantizer_;
    layer.scale = x.scale(1) * weight.ForFans(layer.in, layer.out).scale(1);
    layer.bound = layer.in * most_weight * x.encoding().max_code();
    if (layer.bound >= kMaxExactFloatInteger) {
      return Invalid(absl::StrCat("model, layer '", layer.name, "'"), "sums may be as large as ", layer.bound,
                     ", and floats are exact up to 2^24 = 16777216; use codes of fewer bits, or smaller values");
    }
    layer.weights.resize(static_cast<size_t>(layer.in * layer.out));
    layer.biases.resize(static_cast<size_t>(layer.out));
    net->coordinates_ += layer.in * layer.out + (net->bias_values_.size() > 1 ? layer.out : 0);
    net->layers_.push_back(std::move(layer));
  }
  const std::string name = mlp.activation().empty() ? "identity" : mlp.activation();
  BITGRAD_ASSIGN_OR_RETURN(const auto activation, ActivationNamed(name));
  BITGRAD_ASSIGN_OR_RETURN(const auto last_activation,
                           ActivationNamed(mlp.last_activation().empty() ? name : mlp.last_activation()));
  BITGRAD_RETURN_IF_ERROR(net->FillTables(activation, last_activation));
  return net;
}

absl::Status DiscreteMlp::FillTables(Var (*activation)(const Var&), Var (*last_activation)(const Var&)) {
  for (size_t l = 0; l + 1 < layers_.size(); ++l) {
    Layer& layer = layers_[l];
    const float scale = activation_quantizer_.scale(1);
    for (size_t b = 0; b < bias_values_.size(); ++b) {
      std::vector<float> outputs;
      for (int64_t sum = -layer.bound; sum <= layer.bound; ++sum) {
        outputs.push_back(Output(layer, static_cast<int32_t>(sum), static_cast<int32_t>(b)));
      }
      BITGRAD_ASSIGN_OR_RETURN(
          outputs, OnGraph(context_, std::move(outputs), l + 2 == layers_.size() ? last_activation : activation,
                           activation_quantizer_));
      std::vector<int16_t>& codes = layer.codes.emplace_back();
      codes.reserve(outputs.size());
      for (const float value : outputs) codes.push_back(static_cast<int16_t>(std::lround(value / scale)));
    }
  }
  return absl::OkStatus();
}

Coordinate DiscreteMlp::At(int64_t index) const {
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    const int64_t weights = layer.in * layer.out;
    if (index < weights) return {static_cast<int>(l), false, index / layer.in, index % layer.in};
    index -= weights;
    if (bias_values_.size() == 1) continue;
    if (index < layer.out) return {static_cast<int>(l), true, index, 0};
    index -= layer.out;
  }
  return {};
}

int DiscreteMlp::Get(const Coordinate& at) const {
  const Layer& layer = layers_[static_cast<size_t>(at.layer)];
  if (at.is_bias) return layer.biases[static_cast<size_t>(at.unit)];
  const int32_t code = layer.weights[static_cast<size_t>(at.input * layer.out + at.unit)];
  return static_cast<int>(std::find(values_.begin(), values_.end(), code) - values_.begin());
}

void DiscreteMlp::Set(const Coordinate& at, int choice) {
  Layer& layer = layers_[static_cast<size_t>(at.layer)];
  const auto index = static_cast<size_t>(choice);
  if (at.is_bias) {
    layer.biases[static_cast<size_t>(at.unit)] = choice;
    layer.bias->value.mutable_data<float>()[at.unit] = bias_values_[index];
  } else {
    layer.weights[static_cast<size_t>(at.input * layer.out + at.unit)] = static_cast<int16_t>(values_[index]);
    layer.weight->value.mutable_data<float>()[at.unit * layer.in + at.input] = latent_[index];
  }
}

void DiscreteMlp::Randomize(uint64_t seed) {
  const RngStream rng{.seed = seed, .purpose = RngPurpose::kInit, .step = kInitialStep};
  for (int64_t i = 0; i < coordinates_; ++i) {
    const Coordinate at = At(i);
    Set(at, static_cast<int>(UniformBelow(rng, static_cast<uint64_t>(i), static_cast<uint32_t>(Choices(at)))));
  }
  if (bias_values_.size() > 1) return;
  for (Layer& layer : layers_) {
    for (int64_t unit = 0; unit < layer.out; ++unit)
      Set({.layer = static_cast<int>(&layer - layers_.data()), .is_bias = true, .unit = unit}, 0);
  }
}

absl::Status DiscreteMlp::ReadParameters() {
  for (Layer& layer : layers_) {
    const auto read = [&](const Parameter& parameter, const std::vector<float>& known,
                          const auto& set) -> absl::Status {
      const absl::Span<const float> floats = parameter.value.span<float>();
      for (size_t i = 0; i < floats.size(); ++i) {
        const auto found = std::find(known.begin(), known.end(), floats[i]);
        if (found == known.end()) {
          return absl::FailedPreconditionError(absl::StrCat("parameter '", parameter.name, "' is ", floats[i], " at ",
                                                            i, ", none of ", absl::StrJoin(known, ", "),
                                                            ": it is of another set of values, or damaged"));
        }
        set(i, static_cast<size_t>(found - known.begin()));
      }
      return absl::OkStatus();
    };
    const auto in = static_cast<size_t>(layer.in), out = static_cast<size_t>(layer.out);
    BITGRAD_RETURN_IF_ERROR(read(*layer.weight, latent_, [&](size_t i, size_t choice) {
      layer.weights[i % in * out + i / in] = static_cast<int16_t>(values_[choice]);
    }));
    BITGRAD_RETURN_IF_ERROR(read(*layer.bias, bias_values_,
                                 [&](size_t i, size_t choice) { layer.biases[i] = static_cast<int32_t>(choice); }));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int16_t>> DiscreteMlp::InputCodes(const Tensor& images) const {
  constexpr int64_t kPiece = 1 << 20;  // values at a time, to take little memory
  const absl::Span<const float> x = images.span<float>();
  const float scale = input_.scale(1);
  std::vector<int16_t> codes;
  codes.reserve(x.size());
  for (size_t begin = 0; begin < x.size(); begin += kPiece) {
    const absl::Span<const float> piece = x.subspan(begin, kPiece);
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<float> quantized,
                             OnGraph(context_, {piece.begin(), piece.end()}, nullptr, input_));
    for (const float value : quantized) codes.push_back(static_cast<int16_t>(std::lround(value / scale)));
  }
  return codes;
}

std::vector<float> DiscreteMlp::Logits(absl::Span<const int16_t> codes) const {
  std::vector<float> logits;
  const auto features = static_cast<size_t>(layers_[0].in);
  for (size_t begin = 0; begin < codes.size(); begin += features) {
    std::vector<int16_t> x(codes.begin() + static_cast<int64_t>(begin),
                           codes.begin() + static_cast<int64_t>(begin + features));
    for (const Layer& layer : layers_) {
      std::vector<int16_t> next;
      for (int64_t unit = 0; unit < layer.out; ++unit) {
        int32_t sum = 0;
        for (int64_t i = 0; i < layer.in; ++i) {
          sum += layer.weights[static_cast<size_t>(i * layer.out + unit)] * x[static_cast<size_t>(i)];
        }
        const int32_t bias = layer.biases[static_cast<size_t>(unit)];
        if (layer.codes.empty()) {
          logits.push_back(Output(layer, sum, bias));
        } else {
          next.push_back(layer.codes[static_cast<size_t>(bias)][static_cast<size_t>(sum + layer.bound)]);
        }
      }
      x = next;
    }
  }
  return logits;
}

absl::Status DiscreteMlp::CheckAgainstGraph(const Tensor& images) const {
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<int16_t> codes, InputCodes(images));
  const std::vector<float> expected = Logits(codes);
  Tape tape(context_, Mode::kEval);
  const Var logits = model_.Forward(tape.Input(images));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor* graph, tape.Value(logits));
  BITGRAD_RETURN_IF_ERROR(tape.status());
  for (size_t i = 0; i < expected.size(); ++i) {
    const float found = graph->span<float>()[i];
    if (found == expected[i]) continue;
    return absl::InternalError(absl::StrCat("coordinate descent would search another net than the one that is ",
                                            "evaluated: logit ", i, " is ", expected[i], " here and ", found,
                                            " there"));
  }
  return absl::OkStatus();
}

int DiscreteMlp::bits() const {
  const size_t most = std::max(values_.size(), bias_values_.size());
  int bits = 1;
  while ((size_t{1} << bits) < most) ++bits;
  return bits;
}

}  // namespace bitgrad
