#include "bitgrad/models/bireal_net.h"

#include <memory>
#include <utility>

#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
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
  if (!AddResidualStem(scope, "bireal_net", options, layers_, [](const Scope&) {})) return;
  AddResidualStages(scope, options, layers_, [&](const Scope& at, const ResidualBlock& block) {
    layers_.Add<Residual>(
        at, BinaryBody(at, options, block.in, block.out, block.stride),
        block.changes_shape() ? FloatShortcut(at / "shortcut", options, block.in, block.out, block.stride) : nullptr);
  });
}

}  // namespace bitgrad
