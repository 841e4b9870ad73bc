// Conv2d: y = conv(q_input(x), q_weight(W)) (* alpha) (+ b). x [N, H, W, in] -> y [N, P, Q, out]; W [out, kernel,
// kernel, in / groups], alpha and b [out].
//
// The quantizers are those of Dense. ops/conv2d.h describes the arithmetic, the border, and how binary operands stay
// packed.
//
//   Conv2d(scope / "conv2", {.in = 128, .out = 128, .kernel = 3, .pad = 1, .input = Sign(), .weight = Sign()})
//
// Quantized weights begin uniformly distributed in [-clip, clip] and are clipped to that interval after each step
// (BinaryConnect, arXiv 1511.00363). Weights that are not quantized begin in Glorot's range +-sqrt(6 / (fan_in +
// fan_out)) with fans of kernel height * kernel width * channels / groups, and are not clipped.

#ifndef BITGRAD_MODELS_LAYERS_CONV2D_H_
#define BITGRAD_MODELS_LAYERS_CONV2D_H_

#include <cstdint>
#include <string>

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// The factor by which each output channel is multiplied.
enum class ChannelScale {
  kNone,
  kMeanAbs,  // mean |W[o, ...]| of the latent weight (XNOR-Net, arXiv 1603.05279)
  kLearned,  // a parameter that begins at 1
};

struct Conv2dOptions {
  int64_t in = 0;
  int64_t out = 0;
  Extent2d kernel = 3;
  Extent2d stride = 1;
  Extent2d pad = 0;
  Extent2d dilation = 1;
  int64_t groups = 1;
  Padding padding = Padding::kZero;  // what the border is made of
  Quantizer input;
  Quantizer weight;
  Quantizer gradient;
  ChannelScale scale = ChannelScale::kNone;
  bool bias = false;
  float clip = 1.0f;  // of quantized latent weights
};

class Conv2d final : public Layer {
 public:
  Conv2d(const Scope& scope, const Conv2dOptions& options);
  Var operator()(const Var& x) override;

 private:
  std::string path_;
  Conv2dOptions options_;
  Parameter& weight_;
  Parameter* alpha_ = nullptr;
  Parameter* bias_ = nullptr;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_CONV2D_H_
