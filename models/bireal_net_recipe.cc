#include "bitgrad/models/bireal_net_recipe.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/bireal_net.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/ops/quantizers/approx_sign.h"
#include "bitgrad/ops/quantizers/sign.h"

namespace bitgrad {
namespace {

// More than any net has; below, no product overflows.
constexpr int64_t kMaxFilters = 1 << 16;
constexpr int64_t kMaxExtent = 1 << 10;
constexpr int64_t kMaxBlocks = 1000;

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeBiRealNetFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                               int64_t classes, ParameterStore& store) {
  const recipe::BiRealNet& net = recipe.bireal_net();
  BiRealNetOptions options{.image = {image.height, image.width, image.channels},
                           .stem_filters = net.stem_filters(),
                           .stem_pool = net.stem_pool(),
                           .classes = classes,
                           .activation_quantizer = ApproxSign(),
                           .weight = Sign()};
  if (net.has_stem_kernel()) options.stem_kernel = net.stem_kernel();
  if (net.has_stem_stride()) options.stem_stride = net.stem_stride();
  BITGRAD_RETURN_IF_ERROR(CheckRange("model.bireal_net.stem_filters", options.stem_filters, 1, kMaxFilters));
  BITGRAD_RETURN_IF_ERROR(CheckRange("model.bireal_net.stem_kernel", options.stem_kernel, 1, kMaxExtent));
  BITGRAD_RETURN_IF_ERROR(CheckRange("model.bireal_net.stem_stride", options.stem_stride, 1, kMaxExtent));
  BITGRAD_RETURN_IF_ERROR(CheckRange("model.bireal_net.stem_pool", options.stem_pool, 0, kMaxExtent));
  for (int i = 0; i < net.stage_size(); ++i) {
    const std::string field = absl::StrCat("model.bireal_net.stage[", i, "]");
    BiRealStage stage = {.filters = net.stage(i).filters(), .blocks = net.stage(i).blocks()};
    if (net.stage(i).has_stride()) stage.stride = net.stage(i).stride();
    BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".filters", stage.filters, 1, kMaxFilters));
    BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".blocks", stage.blocks, 1, kMaxBlocks));
    BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".stride", stage.stride, 1, kMaxExtent));
    options.stages.push_back(stage);
  }
  BITGRAD_RETURN_IF_ERROR(ReadQuantizers("model.bireal_net", net, options));
  if (net.norm().kind() == recipe::BatchNorm::NONE) {
    return InField(
        "model.bireal_net.norm.kind",
        absl::InvalidArgumentError("a residual net needs its batch norms, which keep sums of blocks in range"));
  }
  options.norm = ReadBatchNorm(net.norm());
  if (net.has_clip()) options.clip = net.clip();
  options.padding = ReadPadding(net.padding());
  return std::make_unique<BiRealNet>(store.Root(), options);
}

}  // namespace bitgrad
