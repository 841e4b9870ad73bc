#include "models/mlp_recipe.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "models/layers/activation.h"
#include "models/mlp.h"

namespace bitgrad {
namespace {

absl::Status InField(const char* field, const absl::Status& error) {
  return absl::Status(error.code(), absl::StrCat("recipe: model.mlp.", field, ": ", error.message()));
}

// An empty field is the identity.
absl::Status ReadQuantizer(const char* field, const std::string& text, Quantizer& quantizer) {
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<Quantizer> parsed = ParseQuantizer(text);
  if (!parsed.ok()) return InField(field, parsed.status());
  quantizer = *parsed;
  return absl::OkStatus();
}

BatchNormOptions ReadBatchNorm(const recipe::BatchNorm& norm) {
  BatchNormOptions options;
  if (norm.has_epsilon()) options.epsilon = norm.epsilon();
  if (norm.has_momentum()) options.momentum = norm.momentum();
  options.placement = norm.epsilon_placement() == recipe::BatchNorm::OUTSIDE_ROOT
                          ? EpsilonPlacement::kOutsideRoot
                          : EpsilonPlacement::kInsideRoot;
  switch (norm.running_statistic()) {
    case recipe::BatchNorm::STD: options.statistic = RunningStatistic::kStd; break;
    case recipe::BatchNorm::INVERSE_STD: options.statistic = RunningStatistic::kInverseStd; break;
    default: options.statistic = RunningStatistic::kVariance;
  }
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeMlpFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                         int64_t classes, ParameterStore& store) {
  const recipe::Mlp& mlp = recipe.mlp();
  MlpOptions options{.features = image.features(), .classes = classes};
  for (int32_t width : mlp.hidden()) {
    if (width <= 0) {
      return InField("hidden", absl::InvalidArgumentError(
                                   absl::StrCat("width ", width, " has to be positive")));
    }
    options.hidden.push_back(width);
  }
  BITGRAD_RETURN_IF_ERROR(ReadQuantizer("input_quantizer", mlp.input_quantizer(), options.input));
  BITGRAD_RETURN_IF_ERROR(
      ReadQuantizer("activation_quantizer", mlp.activation_quantizer(), options.activation_quantizer));
  BITGRAD_RETURN_IF_ERROR(ReadQuantizer("weight_quantizer", mlp.weight_quantizer(), options.weight));
  BITGRAD_RETURN_IF_ERROR(ReadQuantizer("gradient_quantizer", mlp.gradient_quantizer(), options.gradient));
  if (!mlp.activation().empty()) options.activation = mlp.activation();
  options.norm = ReadBatchNorm(mlp.norm());
  if (mlp.has_clip()) options.clip = mlp.clip();
  if (mlp.has_input_keep()) options.input_keep = mlp.input_keep();
  if (mlp.has_hidden_keep()) options.hidden_keep = mlp.hidden_keep();
  for (const auto& [name, keep] :
       {std::pair{"input_keep", options.input_keep}, std::pair{"hidden_keep", options.hidden_keep}}) {
    if (!(keep > 0) || keep > 1) {
      return InField(name, absl::InvalidArgumentError(absl::StrCat(keep, " is not in (0, 1]")));
    }
  }
  if (const auto activation = Activation::Named(options.activation); !activation.ok()) {
    return InField("activation", activation.status());
  }
  return std::make_unique<Mlp>(store.Root(), options);
}

}  // namespace bitgrad
