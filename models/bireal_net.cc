#include "bitgrad/models/bireal_net.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/pool.h"
#include "bitgrad/models/layers/residual.h"

namespace bitgrad {
namespace {

std::unique_ptr<Layer> BinaryBody(const Scope& scope, const BiRealNetOptions& options, int64_t in, int64_t out,
                                  int64_t stride) {
  auto body = std::make_unique<Sequential>();
  body->Add<Conv2d>(scope / "conv", Conv2dOptions{.in = in,
                                                  .out = out,
                                                  .kernel = 3,
                                                  .stride = stride,
                                                  .pad = 1,
                                                  .padding = options.padding,
                                                  .input = options.activation_quantizer,
                                                  .weight = options.weight,
                                                  .gradient = options.gradient,
                                                  .input_for_weight_gradient = options.input_for_weight_gradient,
                                                  .clip = options.clip});
  body->Add<BatchNorm2d>(scope / "norm", BatchNormLayerOptions{.features = out, .norm = options.norm});
  return body;
}

std::unique_ptr<Layer> FloatShortcut(const Scope& scope, const BiRealNetOptions& options, int64_t in, int64_t out,
                                     int64_t stride) {
  auto shortcut = std::make_unique<Sequential>();
  // The paper's window is 2x2. A window of odd size, padded by half of it, gives the same extents as the block's
  // strided convolution, whatever the stride and also for images of odd size.
  if (stride > 1) {
    const int64_t window = stride | 1;
    shortcut->Add<AvgPool2d>(scope / "pool", PoolOptions{.kernel = window, .stride = stride, .pad = window / 2});
  }
  shortcut->Add<Conv2d>(scope / "conv", Conv2dOptions{.in = in, .out = out, .kernel = 1});
  shortcut->Add<BatchNorm2d>(scope / "norm", BatchNormLayerOptions{.features = out, .norm = options.norm});
  return shortcut;
}

}  // namespace

BiRealNet::BiRealNet(const Scope& scope, const BiRealNetOptions& options) {
  if (options.image.rank() != 3) {
    scope.ReportError(
        absl::StrCat("bireal_net: image ", options.image.ToString(), " is not [height, width, channels]"));
    return;
  }
  const Scope stem = scope / "stem";
  layers_.Add<Unflatten>(options.image);
  layers_.Add<Conv2d>(stem / "conv", Conv2dOptions{.in = options.image.dim(2),
                                                   .out = options.stem_filters,
                                                   .kernel = options.stem_kernel,
                                                   .stride = options.stem_stride,
                                                   .pad = options.stem_kernel / 2});
  layers_.Add<BatchNorm2d>(stem / "norm",
                           BatchNormLayerOptions{.features = options.stem_filters, .norm = options.norm});
  if (options.stem_pool > 0) {
    layers_.Add<MaxPool2d>(stem / "pool", PoolOptions{.kernel = 3, .stride = options.stem_pool, .pad = 1});
  }
  int64_t channels = options.stem_filters;
  for (size_t s = 0; s < options.stages.size(); ++s) {
    const BiRealStage& stage = options.stages[s];
    for (int64_t b = 0; b < stage.blocks; ++b) {
      const Scope block = scope / absl::StrCat("stage", s + 1) / absl::StrCat("block", b + 1);
      const int64_t stride = b == 0 ? stage.stride : 1;
      const bool changes = stride > 1 || channels != stage.filters;
      layers_.Add<Residual>(
          block, BinaryBody(block, options, channels, stage.filters, stride),
          changes ? FloatShortcut(block / "shortcut", options, channels, stage.filters, stride) : nullptr);
      channels = stage.filters;
    }
  }
  const Scope output = scope / "output";
  layers_.Add<GlobalAvgPool2d>(output / "pool");
  layers_.Add<Dense>(output, DenseOptions{.in = channels, .out = options.classes, .bias = true});
}

}  // namespace bitgrad
