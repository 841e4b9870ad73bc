#include "bitgrad/models/mlp_recipe.h"

#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/recipe_fields.h"

namespace bitgrad {

absl::StatusOr<std::unique_ptr<Model>> MakeMlpFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                         int64_t classes, ParameterStore& store) {
  const recipe::Mlp& mlp = recipe.mlp();
  MlpOptions options{.features = image.features(), .classes = classes};
  for (int32_t width : mlp.hidden()) {
    BITGRAD_RETURN_IF_ERROR(CheckPositive("model.mlp.hidden", width));
    options.hidden.push_back(width);
  }
  BITGRAD_RETURN_IF_ERROR(
      ReadQuantizer("model.mlp.input_quantizer", mlp.input_quantizer(), QuantizerRole::kActivation, options.input));
  BITGRAD_RETURN_IF_ERROR(ReadQuantizers("model.mlp", mlp, options));
  BITGRAD_RETURN_IF_ERROR(ReadActivation("model.mlp.activation", mlp.activation(), options.activation));
  BITGRAD_RETURN_IF_ERROR(ReadActivation("model.mlp.last_activation", mlp.last_activation(), options.last_activation));
  options.normalizes = mlp.norm().kind() != recipe::BatchNorm::NONE;
  if (mlp.has_hidden_bias()) options.hidden_bias = mlp.hidden_bias();
  options.norm = ReadBatchNorm(mlp.norm());
  options.float_ends = mlp.float_ends();
  if (mlp.has_clip()) options.clip = mlp.clip();
  BITGRAD_RETURN_IF_ERROR(ReadMaxoutFields("model.mlp", mlp, options));
  return std::make_unique<Mlp>(store.Root(), options);
}

}  // namespace bitgrad
