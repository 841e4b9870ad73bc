// Layers whose convolution has one tap for each pair of channels: learned (ShiftAttentionConv2d), or fixed
// (ShiftConv2d).
//
// ShiftAttentionConv2d (SAL; Hacene et al., arXiv 1905.12300):
//
//   y = conv(q_input(x), P * q_weight(W)),   P = softmax(T A / std(A)) over the taps of a kernel     training
//   y = conv(q_input(x), [P > 1/2] * q_weight(W))                                                  frozen
//
// W [out, kernel, kernel, in], A the same or, shared by all filters, [1, kernel, kernel, in], which begins uniformly
// distributed in [0, 1). T is a number of the whole net, which grows while it trains. ops/tap_attention.h.
//
// ShiftConv2d (Wu et al., arXiv 1711.08141):
//
//   y = conv1x1(shift(q_input(x)), q_weight(W))
//
// W [out, 1, 1, in]; channel c moves by tap EvenTaps(in, kernel)[c] (ops/shift_channels.h). Frozen, it is the
// convolution by kernels with that one tap, whose sums are of integers where x and W have integer codes.
//
// Both have a zero border of kernel / 2. A quantized W begins, and is clipped, as that of Conv2d.

#ifndef BITGRAD_MODELS_LAYERS_SHIFT_ATTENTION_H_
#define BITGRAD_MODELS_LAYERS_SHIFT_ATTENTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/layers/layer_quantizer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// What the layers of a net have in common.
struct TapChoice {
  Parameter* temperature = nullptr;  // T
  bool hard = false;                 // evaluations and training have the kept taps alone
};

struct ShiftLayerOptions {
  int64_t in = 0;
  int64_t out = 0;
  int64_t kernel = 3;  // 2 or 3
  int64_t stride = 1;
  bool shared = false;  // ShiftAttentionConv2d: one choice of taps for all filters
  Quantizer input;
  Quantizer weight;
  Quantizer gradient;
  Quantizer input_for_weight_gradient;
  float clip = 1.0f;  // of quantized latent weights
};

class ShiftAttentionConv2d final : public Layer {
 public:
  // REQUIRES: `choice` outlives the layer, and its temperature is set.
  ShiftAttentionConv2d(const Scope& scope, const ShiftLayerOptions& options, const TapChoice& choice);
  Var operator()(const Var& x) override;
  void VisitQuantizers(const QuantizerVisitor& visit) override {
    visit(quantize_input_);
    visit(quantize_weight_);
  }
  // The pairs of channels whose kernel `hard` makes zero. Waits for the device.
  int64_t ZeroKernels(ExecContext& context) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  ShiftLayerOptions options_;
  const TapChoice& choice_;
  Parameter& weight_;
  Parameter& attention_;
  LayerQuantizer quantize_input_, quantize_weight_;
};

class ShiftConv2d final : public Layer {
 public:
  // REQUIRES: `choice` outlives the layer.
  ShiftConv2d(const Scope& scope, const ShiftLayerOptions& options, const TapChoice& choice);
  Var operator()(const Var& x) override;
  void VisitQuantizers(const QuantizerVisitor& visit) override {
    visit(quantize_input_);
    visit(quantize_weight_);
  }

 private:
  std::string path_;
  ShiftLayerOptions options_;
  const TapChoice& choice_;
  std::vector<uint8_t> taps_;
  Parameter& weight_;
  LayerQuantizer quantize_input_, quantize_weight_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_SHIFT_ATTENTION_H_
