#include "bitgrad/models/residual_net.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/pool.h"
#include "bitgrad/models/layers/residual.h"

namespace bitgrad {
namespace {

void AddNorm(const Scope& scope, const ResidualNetOptions& options, int64_t features, Sequential& layers) {
  layers.Add<BatchNorm2d>(scope, BatchNormLayerOptions{.features = features, .norm = options.norm});
}

void AddConnection(const Scope& scope, const ResidualNetOptions& options, int64_t in, int64_t out, int64_t stride,
                   Sequential& layers) {
  layers.Add<Conv2d>(scope, Conv2dOptions{.in = in,
                                          .out = out,
                                          .kernel = 3,
                                          .stride = stride,
                                          .pad = 1,
                                          .input = options.activation_quantizer,
                                          .weight = options.weight,
                                          .gradient = options.gradient,
                                          .input_for_weight_gradient = options.input_for_weight_gradient,
                                          .clip = options.clip});
}

std::unique_ptr<Layer> Body(const Scope& scope, const ResidualNetOptions& options, const Activation& activation,
                            int64_t in, int64_t out, int64_t stride) {
  auto body = std::make_unique<Sequential>();
  AddConnection(scope / "conv1", options, in, out, stride, *body);
  AddNorm(scope / "norm1", options, out, *body);
  body->Add<Activation>(activation);
  AddConnection(scope / "conv2", options, out, out, 1, *body);
  AddNorm(scope / "norm2", options, out, *body);
  return body;
}

std::unique_ptr<Layer> Shortcut(const Scope& scope, const ResidualNetOptions& options, int64_t in, int64_t out,
                                int64_t stride) {
  auto shortcut = std::make_unique<Sequential>();
  shortcut->Add<Conv2d>(scope / "conv", Conv2dOptions{.in = in, .out = out, .kernel = 1, .stride = stride});
  AddNorm(scope / "norm", options, out, *shortcut);
  return shortcut;
}

}  // namespace

ResidualNet::ResidualNet(const Scope& scope, const ResidualNetOptions& options) {
  const absl::StatusOr<Activation> activation = Activation::Named(options.activation);
  if (!activation.ok()) {
    scope.ReportError(activation.status().message());
    return;
  }
  if (options.image.rank() != 3) {
    scope.ReportError(
        absl::StrCat("residual_net: image ", options.image.ToString(), " is not [height, width, channels]"));
    return;
  }
  const Scope stem = scope / "stem";
  layers_.Add<Unflatten>(options.image);
  layers_.Add<Conv2d>(stem / "conv", Conv2dOptions{.in = options.image.dim(2),
                                                   .out = options.stem_filters,
                                                   .kernel = options.stem_kernel,
                                                   .stride = options.stem_stride,
                                                   .pad = options.stem_kernel / 2});
  AddNorm(stem / "norm", options, options.stem_filters, layers_);
  layers_.Add<Activation>(*activation);
  if (options.stem_pool > 0) {
    layers_.Add<MaxPool2d>(stem / "pool", PoolOptions{.kernel = 3, .stride = options.stem_pool, .pad = 1});
  }
  int64_t channels = options.stem_filters;
  for (size_t s = 0; s < options.stages.size(); ++s) {
    const ResidualStage& stage = options.stages[s];
    for (int64_t b = 0; b < stage.blocks; ++b) {
      const Scope block = scope / absl::StrCat("stage", s + 1) / absl::StrCat("block", b + 1);
      const int64_t stride = b == 0 ? stage.stride : 1;
      const bool changes = stride > 1 || channels != stage.filters;
      layers_.Add<Residual>(
          block, Body(block, options, *activation, channels, stage.filters, stride),
          changes ? Shortcut(block / "shortcut", options, channels, stage.filters, stride) : nullptr);
      layers_.Add<Activation>(*activation);
      channels = stage.filters;
    }
  }
  const Scope output = scope / "output";
  layers_.Add<GlobalAvgPool2d>(output / "pool");
  layers_.Add<Dense>(output, DenseOptions{.in = channels, .out = options.classes, .bias = true});
}

}  // namespace bitgrad
