// Dense: y = q_input(x) q_weight(W)^T (+ b). x [.., in] -> y [.., out]; W [out, in], b [out].
//
// There are four quantizers: of the input activations, of the weights, of the gradient that arrives at y, and of the
// input in the product that makes the weight's gradient (quantized backpropagation).
// ops/quantize.h and ops/linear.h describe the arithmetic, and how few-bit operands stay packed. What the quantizers
// learn are parameters of the layer (layer_quantizer.h).
//
//   Dense(scope / "fc2", {.in = 1024, .out = 1024, .input = Sign(), .weight = Sign()})
//
// Quantized weights begin uniformly distributed in [-clip, clip] and are clipped to that interval after each step
// (BinaryConnect, arXiv 1511.00363). Weights that are not quantized, or whose quantizer has a step of its own (lsq),
// begin in Glorot's range +-sqrt(6 / (in + out)) and are not clipped.

#ifndef BITGRAD_MODELS_LAYERS_DENSE_H_
#define BITGRAD_MODELS_LAYERS_DENSE_H_

#include <cstdint>

#include "absl/types/optional.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/layers/layer_quantizer.h"
#include "bitgrad/models/layers/low_precision.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct DenseOptions {
  int64_t in = 0;
  int64_t out = 0;
  Quantizer input;
  Quantizer weight;
  Quantizer gradient;
  Quantizer input_for_weight_gradient;
  bool bias = false;
  float clip = 1.0f;  // of quantized latent weights
  // Dropout on the quantized input: in training each value is kept with this probability and divided by it. BNN drops
  // values after binarizing them, so that with 0.5 training sees {-2, 0, 2} where evaluation sees {-1, 1}. Such a layer
  // trains in float; it is evaluated and frozen with packed bits.
  float input_keep = 1.0f;
  DropoutScaling dropout_scaling = DropoutScaling::kInTraining;
  bool starts_at_zero = false;  // the weight's initial values
  // They are uniform in +-this, whatever the quantizer; none: as above.
  absl::optional<float> initial_range;
  // Another layer's parameter [out, in], which this layer takes for its weight and makes none: the table of an
  // embedding (arXiv 1608.05859). Its initial values are that layer's matter; kind, clip and fans are set here. It
  // outlives this.
  Parameter* tied_weight = nullptr;
  // Arithmetic of low precision: of weight and bias (low_precision.h).
  PrecisionOptions precision;
  // Max-norm constraint on the incoming weights of each unit; 0: none (Parameter::max_row_norm).
  float max_norm = 0;
};

class Dense final : public Layer {
 public:
  Dense(const Scope& scope, const DenseOptions& options);
  Var operator()(const Var& x) override;
  void VisitQuantizers(const QuantizerVisitor& visit) override {
    visit(quantize_input_);
    visit(quantize_weight_);
  }

 private:
  std::string path_;
  DenseOptions options_;
  Parameter& weight_;
  Parameter* bias_ = nullptr;
  LayerQuantizer quantize_input_, quantize_weight_;
  RoundedParameter round_weight_;
  absl::optional<RoundedParameter> round_bias_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_DENSE_H_
