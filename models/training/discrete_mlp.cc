#include "bitgrad/models/training/discrete_mlp.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/training/discrete_mlp_recipe.h"

namespace bitgrad {
namespace {

// Initial values of parameters are drawn at step 0.
constexpr uint32_t kInitialStep = 1;

}  // namespace

absl::StatusOr<std::unique_ptr<DiscreteMlp>> DiscreteMlp::Create(ExecContext& context, const recipe::Recipe& recipe,
                                                                 Model& model, ParameterStore& store) {
  BITGRAD_RETURN_IF_ERROR(CheckCoordinateDescent(recipe));
  if (context.device() != Device::kCpu) {
    return absl::UnimplementedError("coordinate descent runs on the CPU alone; use --device=cpu");
  }
  const recipe::Mlp& mlp = recipe.model().mlp();
  std::unique_ptr<DiscreteMlp> net(new DiscreteMlp(context, model));
  net->values_ = DiscreteValuesOf(recipe.coordinate_descent());
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
    Units layer;
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
      return absl::InvalidArgumentError(
          absl::StrCat("recipe: model, layer '", layer.name, "': sums may be as large as ", layer.bound,
                       ", and floats are exact up to 2^24 = 16777216; use codes of fewer bits, or smaller values"));
    }
    layer.weights.resize(static_cast<size_t>(layer.in * layer.out));
    layer.biases.resize(static_cast<size_t>(layer.out));
    net->coordinates_ += layer.in * layer.out + (net->bias_values_.size() > 1 ? layer.out : 0);
    net->layers_.push_back(std::move(layer));
  }
  const std::string& last = mlp.last_activation().empty() ? mlp.activation() : mlp.last_activation();
  BITGRAD_ASSIGN_OR_RETURN(const auto activation, ReadFixedActivation("activation", mlp.activation()));
  BITGRAD_ASSIGN_OR_RETURN(const auto last_activation, ReadFixedActivation("last_activation", last));
  BITGRAD_RETURN_IF_ERROR(net->FillTables(*activation, *last_activation));
  return net;
}

absl::Status DiscreteMlp::FillTables(Layer& activation, Layer& last_activation) {
  for (size_t l = 0; l + 1 < layers_.size(); ++l) {
    Units& layer = layers_[l];
    const float scale = activation_quantizer_.scale(1);
    for (size_t b = 0; b < bias_values_.size(); ++b) {
      std::vector<float> outputs;
      for (int64_t sum = -layer.bound; sum <= layer.bound; ++sum) {
        outputs.push_back(Output(layer, static_cast<int32_t>(sum), static_cast<int32_t>(b)));
      }
      BITGRAD_ASSIGN_OR_RETURN(
          outputs, QuantizedByGraph(context_, std::move(outputs),
                                    l + 2 == layers_.size() ? &last_activation : &activation, activation_quantizer_));
      std::vector<int16_t>& codes = layer.codes.emplace_back();
      codes.reserve(outputs.size());
      for (const float value : outputs) codes.push_back(static_cast<int16_t>(std::lround(value / scale)));
    }
  }
  return absl::OkStatus();
}

Coordinate DiscreteMlp::At(int64_t index) const {
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Units& layer = layers_[l];
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
  const Units& layer = layers_[static_cast<size_t>(at.layer)];
  if (at.is_bias) return layer.biases[static_cast<size_t>(at.unit)];
  const int32_t code = layer.weights[static_cast<size_t>(at.input * layer.out + at.unit)];
  return static_cast<int>(std::find(values_.begin(), values_.end(), code) - values_.begin());
}

void DiscreteMlp::Set(const Coordinate& at, int choice) {
  Units& layer = layers_[static_cast<size_t>(at.layer)];
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
  for (Units& layer : layers_) {
    for (int64_t unit = 0; unit < layer.out; ++unit)
      Set({.layer = static_cast<int>(&layer - layers_.data()), .is_bias = true, .unit = unit}, 0);
  }
}

absl::Status DiscreteMlp::ReadParameters() {
  for (Units& layer : layers_) {
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
                             QuantizedByGraph(context_, {piece.begin(), piece.end()}, nullptr, input_));
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
    for (const Units& layer : layers_) {
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
