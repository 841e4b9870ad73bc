// Conv2d: y = conv(q_input(x), q_weight(W)) (+ b). x [N, H, W, in] -> y [N, P, Q, out]; W [out, kernel, kernel,
// in / groups], b [out].
//
// The quantizers are those of Dense. ops/conv2d.h describes the arithmetic and the border. XNOR-Net's scale of each
// filter is the weight quantizer Xnor() or, learned, Sign().WithLearnedScale().PerRow().
//
//   Conv2d(scope / "conv2", {.in = 128, .out = 128, .kernel = 3, .pad = 1, .input = Sign(), .weight = Sign()})
//
// Quantized weights begin uniformly distributed in [-clip, clip] and are clipped to that interval after each step
// (BinaryConnect, arXiv 1511.00363). Weights that are not quantized, or whose quantizer has a step of its own (lsq),
// begin in Glorot's range +-sqrt(6 / (fan_in + fan_out)) with fans of kernel height * kernel width * channels / groups,
// and are not clipped.

#ifndef BITGRAD_MODELS_LAYERS_CONV2D_H_
#define BITGRAD_MODELS_LAYERS_CONV2D_H_

#include <cstdint>
#include <string>

#include "absl/types/optional.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/layers/layer_quantizer.h"
#include "bitgrad/models/layers/low_precision.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

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
  Quantizer input_for_weight_gradient;
  bool bias = false;
  float clip = 1.0f;  // of quantized latent weights
  // Arithmetic of low precision: of weight and bias (low_precision.h).
  PrecisionOptions precision;
  // Max-norm constraint on the incoming weights of each filter; 0: none (Parameter::max_row_norm).
  float max_norm = 0;
};

class Conv2d final : public Layer {
 public:
  Conv2d(const Scope& scope, const Conv2dOptions& options);
  Var operator()(const Var& x) override;
  void VisitQuantizers(const QuantizerVisitor& visit) override {
    visit(quantize_input_);
    visit(quantize_weight_);
  }

 private:
  std::string path_;
  Conv2dOptions options_;
  Parameter& weight_;
  Parameter* bias_ = nullptr;
  LayerQuantizer quantize_input_, quantize_weight_;
  RoundedParameter round_weight_;
  absl::optional<RoundedParameter> round_bias_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_CONV2D_H_
