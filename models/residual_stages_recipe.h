// The fields that the recipes of residual nets have in common (residual_stages.h).

#ifndef BITGRAD_MODELS_RESIDUAL_STAGES_RECIPE_H_
#define BITGRAD_MODELS_RESIDUAL_STAGES_RECIPE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/models/residual_stages.h"

namespace bitgrad {

// `field` is the network's: "model.bireal_net". Reads stem, stages, quantizers, norm and clip; what the recipe leaves
// out stays as it is.
template <typename Net, typename Options>
absl::Status ReadResidualStages(const std::string& field, const Net& net, Options& options) {
  // More than any net has; below, no product overflows.
  constexpr int64_t kMaxFilters = 1 << 16, kMaxExtent = 1 << 10, kMaxBlocks = 1000;
  options.stem_filters = net.stem_filters();
  options.stem_pool = net.stem_pool();
  if (net.has_stem_kernel()) options.stem_kernel = net.stem_kernel();
  if (net.has_stem_stride()) options.stem_stride = net.stem_stride();
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".stem_filters", options.stem_filters, 1, kMaxFilters));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".stem_kernel", options.stem_kernel, 1, kMaxExtent));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".stem_stride", options.stem_stride, 1, kMaxExtent));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".stem_pool", options.stem_pool, 0, kMaxExtent));
  for (int i = 0; i < net.stage_size(); ++i) {
    const std::string stage_field = absl::StrCat(field, ".stage[", i, "]");
    ResidualStage stage = {.filters = net.stage(i).filters(), .blocks = net.stage(i).blocks()};
    if (net.stage(i).has_stride()) stage.stride = net.stage(i).stride();
    BITGRAD_RETURN_IF_ERROR(CheckRange(stage_field + ".filters", stage.filters, 1, kMaxFilters));
    BITGRAD_RETURN_IF_ERROR(CheckRange(stage_field + ".blocks", stage.blocks, 1, kMaxBlocks));
    BITGRAD_RETURN_IF_ERROR(CheckRange(stage_field + ".stride", stage.stride, 1, kMaxExtent));
    options.stages.push_back(stage);
  }
  BITGRAD_RETURN_IF_ERROR(ReadQuantizers(field, net, options));
  if (net.norm().kind() == recipe::BatchNorm::NONE) {
    return InField(
        field + ".norm.kind",
        absl::InvalidArgumentError("a residual net needs its batch norms, which keep sums of blocks in range"));
  }
  options.norm = ReadBatchNorm(net.norm());
  if (net.has_clip()) options.clip = net.clip();
  return absl::OkStatus();
}

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RESIDUAL_STAGES_RECIPE_H_
