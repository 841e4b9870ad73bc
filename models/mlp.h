// Mlp: the multi-layer perceptron of the BNN family.
//
//   (Dense -> BatchNorm -> activation) x hidden layers, Dense -> BatchNorm
//
// In a maxout net the activation is the largest of the unit's pieces. In arithmetic of low precision the outputs of
// Dense (z) and of the activation (y) are rounded, too (layers/low_precision.h).
//
// The first layer quantizes its input, the network's, with `input`. Every other layer quantizes its input with
// `activation_quantizer`: sign in a BNN, identity in BinaryConnect. All layers quantize their weights with `weight` and
// the gradient that arrives at their output with `gradient`. With `float_ends` the first and the last layer quantize
// nothing; the layer before the output then needs a `last_activation`, unless there is an `activation`, or else no
// nonlinearity is between the two. Parameters are named hidden1/.., hidden2/.., output/...

#ifndef BITGRAD_MODELS_MLP_H_
#define BITGRAD_MODELS_MLP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/models/layers/low_precision.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/sequential_model.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct MlpOptions {
  int64_t features = 0;
  std::vector<int64_t> hidden;  // widths
  int64_t classes = 0;
  Quantizer input;
  Quantizer activation_quantizer;
  Quantizer weight;
  Quantizer gradient;
  Quantizer input_for_weight_gradient;
  std::string activation = "identity";  // after batch norm, before the next layer's quantizer
  std::string last_activation;          // that in front of the output layer; empty: `activation`
  bool normalizes = true;               // whether there are batch norms; without them layers have a bias
  bool hidden_bias = true;              // whether hidden layers without batch norm have one; a spline can stand for it
  BatchNormOptions norm;
  float clip = 1.0f;
  float input_keep = 1.0f;   // dropout on the network's input
  float hidden_keep = 1.0f;  // dropout on the (quantized) activations
  DropoutScaling dropout_scaling = DropoutScaling::kInTraining;
  int64_t maxout_pieces = 0;           // of each hidden unit (ops/maxout.h), in place of an activation; 0: no maxout
  float max_norm = 0;                  // of the incoming weights of each unit; 0: no constraint
  bool output_starts_at_zero = false;  // the initial weights of the last layer
  PrecisionOptions precision;          // of all arithmetic but batch norm's and the loss's
  bool float_ends = false;             // the first and the last layer are not quantized
};

class Mlp final : public SequentialModel {
 public:
  Mlp(const Scope& scope, const MlpOptions& options);
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_MLP_H_
