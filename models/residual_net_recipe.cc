#include "bitgrad/models/residual_net_recipe.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/models/residual_net.h"

namespace bitgrad {
namespace {

// More than any net has; below, no product overflows.
constexpr int64_t kMaxFilters = 1 << 16;
constexpr int64_t kMaxExtent = 1 << 10;
constexpr int64_t kMaxBlocks = 1000;

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
                             .stem_filters = net.stem_filters(),
                             .stem_pool = net.stem_pool(),
                             .connection = ReadConnection(net.connection()),
                             .classes = classes};
  if (net.has_stem_kernel()) options.stem_kernel = net.stem_kernel();
  if (net.has_stem_stride()) options.stem_stride = net.stem_stride();
  BITGRAD_RETURN_IF_ERROR(CheckRange("model.residual_net.stem_filters", options.stem_filters, 1, kMaxFilters));
  BITGRAD_RETURN_IF_ERROR(CheckRange("model.residual_net.stem_kernel", options.stem_kernel, 1, kMaxExtent));
  BITGRAD_RETURN_IF_ERROR(CheckRange("model.residual_net.stem_stride", options.stem_stride, 1, kMaxExtent));
  BITGRAD_RETURN_IF_ERROR(CheckRange("model.residual_net.stem_pool", options.stem_pool, 0, kMaxExtent));
  for (int i = 0; i < net.stage_size(); ++i) {
    const std::string field = absl::StrCat("model.residual_net.stage[", i, "]");
    ResidualStage stage = {.filters = net.stage(i).filters(), .blocks = net.stage(i).blocks()};
    if (net.stage(i).has_stride()) stage.stride = net.stage(i).stride();
    BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".filters", stage.filters, 1, kMaxFilters));
    BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".blocks", stage.blocks, 1, kMaxBlocks));
    BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".stride", stage.stride, 1, kMaxExtent));
    options.stages.push_back(stage);
  }
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
  BITGRAD_RETURN_IF_ERROR(ReadQuantizers("model.residual_net", net, options));
  if (net.norm().kind() == recipe::BatchNorm::NONE) {
    return InField(
        "model.residual_net.norm.kind",
        absl::InvalidArgumentError("a residual net needs its batch norms, which keep sums of blocks in range"));
  }
  options.norm = ReadBatchNorm(net.norm());
  if (net.has_clip()) options.clip = net.clip();
  return std::make_unique<ResidualNet>(store.Root(), options);
}

}  // namespace bitgrad
