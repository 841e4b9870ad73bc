#include "bitgrad/models/recurrent_net_recipe.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/models/recurrent_net.h"

namespace bitgrad {
namespace {

constexpr char kNet[] = "model.recurrent_net.";
// Steps of one tape. A tape of more nodes than this makes has another reason than a long sequence.
constexpr int64_t kMostSteps = 1 << 20;

template <typename... Parts>
absl::Status FieldError(absl::string_view field, const Parts&... parts) {
  return InField(absl::StrCat(kNet, field), absl::InvalidArgumentError(absl::StrCat(parts...)));
}

RecurrentCell CellOf(recipe::RecurrentNet::Cell cell) {
  switch (cell) {
    case recipe::RecurrentNet::GRU: return RecurrentCell::kGru;
    case recipe::RecurrentNet::RNN_TANH: return RecurrentCell::kRnnTanh;
    case recipe::RecurrentNet::RNN_RELU: return RecurrentCell::kRnnRelu;
    default: return RecurrentCell::kLstm;
  }
}

absl::Status ReadAllQuantizers(const recipe::RecurrentNet& net, RecurrentNetOptions& options) {
  const struct {
    const char* field;
    const std::string& text;
    QuantizerRole role;
    Quantizer& quantizer;
  } fields[] = {
      {"input_quantizer", net.input_quantizer(), QuantizerRole::kActivation, options.input},
      {"hidden_quantizer", net.hidden_quantizer(), QuantizerRole::kActivation, options.state},
      {"input_weight_quantizer", net.input_weight_quantizer(), QuantizerRole::kWeight, options.input_weight},
      {"hidden_weight_quantizer", net.hidden_weight_quantizer(), QuantizerRole::kWeight, options.hidden_weight},
      {"gate_quantizer", net.gate_quantizer(), QuantizerRole::kActivation, options.gate},
      {"gradient_quantizer", net.gradient_quantizer(), QuantizerRole::kGradient, options.gradient},
      {"output_quantizer", net.output_quantizer(), QuantizerRole::kActivation, options.output},
      {"output_weight_quantizer", net.output_weight_quantizer(), QuantizerRole::kWeight, options.output_weight},
      {"embedding_quantizer", net.embedding_quantizer(), QuantizerRole::kActivation, options.embedding_quantizer},
  };
  for (const auto& field : fields) {
    BITGRAD_RETURN_IF_ERROR(ReadQuantizer(absl::StrCat(kNet, field.field), field.text, field.role, field.quantizer));
  }
  if (net.embedding_quantizer().empty()) options.embedding_quantizer = options.input;
  const bool has_gates = options.cell == RecurrentCell::kLstm || options.cell == RecurrentCell::kGru;
  if (has_gates || options.gate.is_identity()) return absl::OkStatus();
  return FieldError("gate_quantizer", "cells ", recipe::RecurrentNet::Cell_Name(net.cell()),
                    " have no gates; leave it out");
}

absl::Status ReadNumbers(const recipe::RecurrentNet& net, RecurrentNetOptions& options) {
  if (net.has_keep()) options.keep = net.keep();
  BITGRAD_RETURN_IF_ERROR(CheckKeep(absl::StrCat(kNet, "keep"), options.keep));
  if (net.has_clip()) options.clip = net.clip();
  BITGRAD_RETURN_IF_ERROR(CheckNorm(absl::StrCat(kNet, "clip"), options.clip));
  if (net.has_initial_range()) {
    BITGRAD_RETURN_IF_ERROR(CheckNorm(absl::StrCat(kNet, "initial_range"), net.initial_range()));
    options.initial_range = net.initial_range();
  }
  if (!net.has_forget_bias()) return absl::OkStatus();
  options.forget_bias = net.forget_bias();
  if (!std::isfinite(options.forget_bias)) {
    return FieldError("forget_bias", options.forget_bias, " has to be finite");
  }
  if (net.cell() == recipe::RecurrentNet::LSTM) return absl::OkStatus();
  return FieldError("forget_bias", "only cells LSTM have a forget gate; leave it out");
}

// The fields of a net over tokens.
absl::Status ReadTokens(const recipe::RecurrentNet& net, RecurrentNetOptions& options) {
  if (net.image_steps() != 0) {
    return FieldError("image_steps", "the data are tokens, whose steps are data.steps; leave it out");
  }
  const int64_t last = options.hidden.back();
  options.embedding = net.embedding() != 0 ? net.embedding() : net.tied() ? last : options.hidden.front();
  BITGRAD_RETURN_IF_ERROR(CheckPositive(absl::StrCat(kNet, "embedding"), options.embedding));
  options.tied = net.tied();
  if (!net.tied() || options.embedding == last) return absl::OkStatus();
  return FieldError("tied",
                    "the output's weight can be the embedding's table only where both are as wide; embedding is ",
                    options.embedding, " and the last of hidden is ", last);
}

// The fields of a net over images.
absl::Status ReadImages(const recipe::RecurrentNet& net, const ImageShape& image, RecurrentNetOptions& options) {
  for (const auto& [field, is_set] : {std::pair{"embedding", net.embedding() != 0}, std::pair{"tied", net.tied()},
                                      std::pair{"embedding_quantizer", !net.embedding_quantizer().empty()}}) {
    if (is_set) return FieldError(field, "the data are images, and only tokens have an embedding; leave it out");
  }
  options.image_steps = net.image_steps() == 0 ? image.height : net.image_steps();
  BITGRAD_RETURN_IF_ERROR(CheckRange(absl::StrCat(kNet, "image_steps"), options.image_steps, 1, kMostSteps));
  options.step_features = image.features() / options.image_steps;
  if (image.features() % options.image_steps == 0) return absl::OkStatus();
  return FieldError("image_steps", options.image_steps, " does not divide the ", image.features(),
                    " values of an image of ", image.ToString());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeRecurrentNetFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                                  int64_t classes, ParameterStore& store) {
  const recipe::RecurrentNet& net = recipe.recurrent_net();
  RecurrentNetOptions options{.cell = CellOf(net.cell()), .classes = classes};
  if (net.hidden().empty()) return FieldError("hidden", "it is empty; give each layer its number of units");
  for (const int32_t width : net.hidden()) {
    BITGRAD_RETURN_IF_ERROR(CheckPositive(absl::StrCat(kNet, "hidden"), width));
    options.hidden.push_back(width);
  }
  BITGRAD_RETURN_IF_ERROR(ReadAllQuantizers(net, options));
  BITGRAD_RETURN_IF_ERROR(ReadNumbers(net, options));
  BITGRAD_RETURN_IF_ERROR(image.features() == 0 ? ReadTokens(net, options) : ReadImages(net, image, options));
  return std::make_unique<RecurrentNet>(store.Root(), options);
}

}  // namespace bitgrad
