#include "bitgrad/models/bireal_net_recipe.h"

#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/bireal_net.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/models/residual_stages_recipe.h"
#include "bitgrad/ops/quantizers/approx_sign.h"
#include "bitgrad/ops/quantizers/sign.h"

namespace bitgrad {

absl::StatusOr<std::unique_ptr<Model>> MakeBiRealNetFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                               int64_t classes, ParameterStore& store) {
  const recipe::BiRealNet& net = recipe.bireal_net();
  BiRealNetOptions options{.image = {image.height, image.width, image.channels},
                           .classes = classes,
                           .activation_quantizer = ApproxSign(),
                           .weight = Sign()};
  BITGRAD_RETURN_IF_ERROR(ReadResidualStages("model.bireal_net", net, options));
  options.padding = ReadPadding(net.padding());
  return std::make_unique<BiRealNet>(store.Root(), options);
}

}  // namespace bitgrad
