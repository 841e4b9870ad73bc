#include "bitgrad/models/conv_net_recipe.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/conv_net.h"
#include "bitgrad/models/recipe_fields.h"

namespace bitgrad {
namespace {

// More than any net has; below, no product overflows.
constexpr int64_t kMaxFilters = 1 << 16;
constexpr int64_t kMaxExtent = 1 << 10;

absl::StatusOr<ConvBlock> ReadBlock(const recipe::ConvNet::Block& recipe, const std::string& field,
                                    float net_max_norm) {
  ConvBlock block = {.filters = recipe.filters()};
  if (recipe.has_kernel()) block.kernel = recipe.kernel();
  if (recipe.has_stride()) block.stride = recipe.stride();
  block.pad = recipe.has_pad() ? recipe.pad() : block.kernel / 2;
  block.pool = recipe.pool();
  block.pool_stride = recipe.has_pool_stride() ? recipe.pool_stride() : block.pool;
  if (recipe.has_groups()) block.groups = recipe.groups();
  block.maxout_pieces = recipe.maxout_pieces();
  block.pool_partial = recipe.pool_partial();
  block.max_norm = recipe.has_max_norm() ? recipe.max_norm() : net_max_norm;
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".filters", block.filters, 1, kMaxFilters));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".kernel", block.kernel, 1, kMaxExtent));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".stride", block.stride, 1, kMaxExtent));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".groups", block.groups, 1, kMaxFilters));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".pad", block.pad, 0, block.kernel - 1));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".maxout_pieces", block.maxout_pieces, 0, kMostMaxoutPieces));
  if (recipe.has_max_norm()) BITGRAD_RETURN_IF_ERROR(CheckNorm(field + ".max_norm", recipe.max_norm()));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".pool", block.pool, 0, kMaxExtent));
  if (block.pool > 0) BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".pool_stride", block.pool_stride, 1, kMaxExtent));
  return block;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeConvNetFromRecipe(const recipe::Model& recipe, const ImageShape& image,
                                                             int64_t classes, ParameterStore& store) {
  const recipe::ConvNet& net = recipe.conv_net();
  ConvNetOptions options{.image = {image.height, image.width, image.channels}, .classes = classes};
  BITGRAD_RETURN_IF_ERROR(ReadMaxoutFields("model.conv_net", net, options));
  for (int i = 0; i < net.block_size(); ++i) {
    BITGRAD_ASSIGN_OR_RETURN(const ConvBlock block,
                             ReadBlock(net.block(i), absl::StrCat("model.conv_net.block[", i, "]"), options.max_norm));
    options.blocks.push_back(block);
  }
  for (int32_t width : net.hidden()) {
    BITGRAD_RETURN_IF_ERROR(CheckPositive("model.conv_net.hidden", width));
    options.hidden.push_back(width);
  }
  BITGRAD_RETURN_IF_ERROR(ReadQuantizer("model.conv_net.input_quantizer", net.input_quantizer(),
                                        QuantizerRole::kActivation, options.input));
  BITGRAD_RETURN_IF_ERROR(ReadQuantizers("model.conv_net", net, options));
  BITGRAD_RETURN_IF_ERROR(ReadActivation("model.conv_net.activation", net.activation(), options.activation));
  BITGRAD_RETURN_IF_ERROR(
      ReadActivation("model.conv_net.last_activation", net.last_activation(), options.last_activation));
  options.normalizes = net.norm().kind() != recipe::BatchNorm::NONE;
  options.norm = ReadBatchNorm(net.norm());
  if (net.has_clip()) options.clip = net.clip();
  options.padding = ReadPadding(net.padding());
  options.float_ends = net.float_ends();
  options.pools_last = net.pools_last();
  options.global_average = net.global_average();
  return std::make_unique<ConvNet>(store.Root(), options);
}

}  // namespace bitgrad
