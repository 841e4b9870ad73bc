#include "bitgrad/models/networks.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/bireal_net_recipe.h"
#include "bitgrad/models/conv_net_recipe.h"
#include "bitgrad/models/mlp_recipe.h"
#include "bitgrad/models/penalized_model.h"
#include "bitgrad/models/recurrent_net_recipe.h"
#include "bitgrad/models/residual_net_recipe.h"
#include "bitgrad/models/spline_model.h"

namespace bitgrad {
namespace {

constexpr NetworkInfo kNetworks[] = {
    {recipe::Model::kMlp, "mlp", MakeMlpFromRecipe, "dense layers with batch norm and quantizers"},
    {recipe::Model::kConvNet, "conv_net", MakeConvNetFromRecipe, "convolutions, max pooling, dense layers"},
    {recipe::Model::kBirealNet, "bireal_net", MakeBiRealNetFromRecipe, "residual net of binary convolutions"},
    {recipe::Model::kResidualNet, "residual_net", MakeResidualNetFromRecipe,
     "residual net of basic blocks, of convolutions or of shifts"},
    {recipe::Model::kRecurrentNet, "recurrent_net", MakeRecurrentNetFromRecipe, "LSTM, GRU or RNN layers over time"},
};

}  // namespace

absl::Span<const NetworkInfo> AllNetworks() { return kNetworks; }

absl::StatusOr<std::unique_ptr<Model>> MakeNetwork(const recipe::Model& recipe, const ImageShape& image,
                                                   int64_t classes, ParameterStore& store) {
  for (const NetworkInfo& network : kNetworks) {
    if (network.kind != recipe.kind_case()) continue;
    if (image.features() == 0 && network.kind != recipe::Model::kRecurrentNet) {
      return absl::InvalidArgumentError(
          absl::StrCat("recipe: model.", network.name, " takes images, and the data are tokens; use a recurrent_net"));
    }
    BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<Model> model, network.make(recipe, image, classes, store));
    BITGRAD_ASSIGN_OR_RETURN(model, WithPenalties(recipe, store.Root(), std::move(model)));
    if (!store.status().ok()) return store.status();
    return WithSplineReport(store, image.features(), std::move(model));
  }
  return absl::InvalidArgumentError("recipe: model names no network that this build knows");
}

}  // namespace bitgrad
