#include "bitgrad/models/conv_net.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/dropout.h"
#include "bitgrad/models/layers/maxout.h"
#include "bitgrad/models/layers/pool.h"

namespace bitgrad {
namespace {

struct Quantizers {
  Quantizer input, weight, gradient, input_for_weight_gradient;
};

// The quantizers of layer `index` out of `count`.
Quantizers QuantizersOf(const ConvNetOptions& options, size_t index, size_t count) {
  if (options.float_ends && (index == 0 || index + 1 == count)) return {};
  return {index == 0 ? options.input : options.activation_quantizer, options.weight, options.gradient,
          options.input_for_weight_gradient};
}

// The extent of the output of a convolution or a pool, which is the number of places that a window of size `kernel` has
// along an extent; 0 where it does not fit.
int64_t OutputExtent(int64_t extent, int64_t kernel, int64_t stride, int64_t pad, bool partial = false) {
  const int64_t room = extent + 2 * pad - kernel;
  return room < 0 ? 0 : (room + (partial ? stride - 1 : 0)) / stride + 1;
}

}  // namespace

ConvNet::ConvNet(const Scope& scope, const ConvNetOptions& options) {
  const absl::StatusOr<ActivationForm> activation = ActivationForm::Parse(options.activation);
  const absl::StatusOr<ActivationForm> last_activation =
      options.last_activation.empty() ? activation : ActivationForm::Parse(options.last_activation);
  for (const absl::Status& status : {activation.status(), last_activation.status()}) {
    if (status.ok()) continue;
    scope.ReportError(status.message());
    return;
  }
  if (options.image.rank() != 3) {
    scope.ReportError(absl::StrCat("conv_net: image ", options.image.ToString(), " is not [height, width, channels]"));
    return;
  }
  const size_t count = options.blocks.size() + options.hidden.size() + 1;
  int64_t height = options.image.dim(0), width = options.image.dim(1), channels = options.image.dim(2);
  layers_.Add<Unflatten>(options.image);
  // On what a layer quantizes or multiplies.
  const auto add_dropout = [&](size_t layer) {
    const float keep = layer == 0 ? options.input_keep : options.hidden_keep;
    if (keep < 1) layers_.Add<Dropout>(keep, options.dropout_scaling);
  };
  size_t index = 0;
  for (const ConvBlock& block : options.blocks) {
    const Scope layer = scope / absl::StrCat("conv", index + 1);
    const Quantizers quantizers = QuantizersOf(options, index, count);
    const int64_t in_height = height, in_width = width;
    height = OutputExtent(height, block.kernel, block.stride, block.pad);
    width = OutputExtent(width, block.kernel, block.stride, block.pad);
    if (block.pool > 0) {
      height = OutputExtent(height, block.pool, block.pool_stride, 0, block.pool_partial);
      width = OutputExtent(width, block.pool, block.pool_stride, 0, block.pool_partial);
    }
    if (height < 1 || width < 1) {
      layer.ReportError(absl::StrCat("an image of [", in_height, ", ", in_width, "] is too small for a kernel of ",
                                     block.kernel, ", pad ", block.pad, ", and pooling over ", block.pool));
      return;
    }
    const int64_t pieces = std::max<int64_t>(1, block.maxout_pieces);
    add_dropout(index);
    layers_.Add<Conv2d>(layer,
                        Conv2dOptions{.in = channels,
                                      .out = pieces * block.filters,
                                      .kernel = block.kernel,
                                      .stride = block.stride,
                                      .pad = block.pad,
                                      .groups = block.groups,
                                      .padding = quantizers.input.is_identity() ? Padding::kZero : options.padding,
                                      .input = quantizers.input,
                                      .weight = quantizers.weight,
                                      .gradient = quantizers.gradient,
                                      .input_for_weight_gradient = quantizers.input_for_weight_gradient,
                                      .bias = !options.normalizes,
                                      .clip = options.clip,
                                      .precision = options.precision,
                                      .max_norm = block.max_norm});
    const auto add_pool = [&] {
      if (block.pool == 0) return;
      layers_.Add<MaxPool2d>(
          layer / "pool",
          PoolOptions{.kernel = block.pool, .stride = block.pool_stride, .partial = block.pool_partial});
    };
    if (!options.pools_last) add_pool();
    if (options.precision.rounds()) layers_.Add<RoundValues>(layer / "output", options.precision);
    if (options.normalizes) {
      layers_.Add<BatchNorm2d>(layer / "norm",
                               BatchNormLayerOptions{.features = pieces * block.filters, .norm = options.norm});
    }
    if (block.maxout_pieces > 0) layers_.Add<MaxoutLayer>(layer / "maxout", pieces);
    layers_.Add<Activation>(index + 2 < count ? *activation : *last_activation, layer, block.filters);
    if (options.pools_last) add_pool();
    if (options.precision.rounds()) layers_.Add<RoundValues>(layer / "activation", options.precision);
    channels = block.filters;
    ++index;
  }
  int64_t in = height * width * channels;
  if (options.global_average) {
    layers_.Add<GlobalAvgPool2d>(scope / "average");
    in = channels;
  } else {
    layers_.Add<FlattenLayer>();
  }
  for (size_t i = 0; i <= options.hidden.size(); ++i, ++index) {
    const bool last = i == options.hidden.size();
    const int64_t out = last ? options.classes : options.hidden[i];
    const Scope layer = scope / (last ? std::string("output") : absl::StrCat("hidden", i + 1));
    const Quantizers quantizers = QuantizersOf(options, index, count);
    const int64_t pieces = last ? 1 : std::max<int64_t>(1, options.maxout_pieces);
    add_dropout(index);
    layers_.Add<Dense>(layer, DenseOptions{.in = in,
                                           .out = pieces * out,
                                           .input = quantizers.input,
                                           .weight = quantizers.weight,
                                           .gradient = quantizers.gradient,
                                           .input_for_weight_gradient = quantizers.input_for_weight_gradient,
                                           .bias = !options.normalizes,
                                           .clip = options.clip,
                                           .starts_at_zero = last && options.output_starts_at_zero,
                                           .precision = options.precision,
                                           .max_norm = options.max_norm});
    if (options.precision.rounds()) layers_.Add<RoundValues>(layer / "output", options.precision);
    if (options.normalizes) {
      layers_.Add<BatchNorm>(layer / "norm", BatchNormLayerOptions{.features = pieces * out, .norm = options.norm});
    }
    if (!last) {
      if (options.maxout_pieces > 0) layers_.Add<MaxoutLayer>(layer / "maxout", pieces);
      layers_.Add<Activation>(index + 2 < count ? *activation : *last_activation, layer, out);
      if (options.precision.rounds()) layers_.Add<RoundValues>(layer / "activation", options.precision);
    }
    in = out;
  }
}

}  // namespace bitgrad
