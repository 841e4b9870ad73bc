#include "bitgrad/models/residual_net_recipe.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/models/residual_net.h"
#include "bitgrad/models/residual_stages_recipe.h"

namespace bitgrad {
namespace {

ResidualConnection ReadConnection(recipe::ResidualNet::Connection connection) {
  switch (connection) {
    case recipe::ResidualNet::SHIFT_ATTENTION: return ResidualConnection::kShiftAttention;
    case recipe::ResidualNet::SHARED_SHIFT_ATTENTION: return ResidualConnection::kSharedShiftAttention;
    case recipe::ResidualNet::SHIFT: return ResidualConnection::kShift;
    default: return ResidualConnection::kConv;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeResidualNetFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                                 int64_t classes, ParameterStore& store) {
  const recipe::ResidualNet& net = recipe.residual_net();
  ResidualNetOptions options{.image = {image.height, image.width, image.channels},
                             .connection = ReadConnection(net.connection()),
                             .classes = classes};
  BITGRAD_RETURN_IF_ERROR(ReadResidualStages("model.residual_net", net, options));
  if (net.has_temperature()) {
    options.temperature = ScalarSchedule{.initial = options.temperature.initial};
    BITGRAD_RETURN_IF_ERROR(ReadScalar("model.residual_net.temperature", net.temperature(), options.temperature));
    if (!(options.temperature.initial > 0) || !(options.temperature.final > 0)) {
      return InField("model.residual_net.temperature",
                     absl::InvalidArgumentError(absl::StrCat(
                         "initial = ", options.temperature.initial, " and final = ", options.temperature.final,
                         " have to be positive: attention would choose the taps with the least numbers")));
    }
  }
  BITGRAD_RETURN_IF_ERROR(ReadActivation("model.residual_net.activation", net.activation(), options.activation));
  return std::make_unique<ResidualNet>(store.Root(), options);
}

}  // namespace bitgrad
