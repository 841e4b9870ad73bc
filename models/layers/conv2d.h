// Conv2d: y = conv(q_input(x), q_weight(W)) (* alpha) (+ b). x [N, H, W, in] -> y [N, P, Q, out]; W [out, kernel,
// kernel, in / groups], alpha and b [out].
//
// Quantizers plug in as in Dense; the arithmetic, the border and how binary operands stay packed are ops/conv2d.h.
//
//   Conv2d(scope / "conv2", {.in = 128, .out = 128, .kernel = 3, .pad = 1, .input = Sign(), .weight = Sign()})
//
// Quantized weights start uniform in [-clip, clip] and are clipped back to it after each step (BinaryConnect, arXiv
// 1511.00363); others start in Glorot's range, with fans kernel^2 * channels, and are not clipped.

#ifndef BITGRAD_MODELS_LAYERS_CONV2D_H_
#define BITGRAD_MODELS_LAYERS_CONV2D_H_

#include <cstdint>
#include <string>

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// A factor for each output channel.
enum class ChannelScale {
  kNone,
  kMeanAbs,  // mean |W[o, ...]|, of the latent weight (XNOR-Net, arXiv 1603.05279)
  kLearned,  // a parameter, 1 at first
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
