// Dense: y = q_input(x) q_weight(W)^T (+ b). x [.., in] -> y [.., out]; W [out, in], b [out].
//
// Three quantizers plug in: of the input activations, of the weights, of the gradient that arrives at y. The
// arithmetic, and how binary operands stay packed, is ops/linear.h.
//
//   Dense(scope / "fc2", {.in = 1024, .out = 1024, .input = Sign(), .weight = Sign()})
//
// Quantized weights start uniform in [-clip, clip] and are clipped back to it after each step (BinaryConnect, arXiv
// 1511.00363); others start in Glorot's range +-sqrt(6 / (in + out)) and are not clipped.

#ifndef BITGRAD_MODELS_LAYERS_DENSE_H_
#define BITGRAD_MODELS_LAYERS_DENSE_H_

#include <cstdint>

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct DenseOptions {
  int64_t in = 0;
  int64_t out = 0;
  Quantizer input;
  Quantizer weight;
  Quantizer gradient;
  bool bias = false;
  float clip = 1.0f;  // of quantized latent weights
  // Dropout on the quantized input, in training: BNN drops after binarizing, so that training sees {-2, 0, 2} where
  // evaluation sees {-1, 1}. Such a layer trains in float; it is evaluated and frozen packed.
  float input_keep = 1.0f;
};

class Dense final : public Layer {
 public:
  Dense(const Scope& scope, const DenseOptions& options);
  Var operator()(const Var& x) override;

 private:
  std::string path_;
  DenseOptions options_;
  Parameter& weight_;
  Parameter* bias_ = nullptr;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_DENSE_H_
