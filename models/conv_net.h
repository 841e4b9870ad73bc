// ConvNet: convolutions, then dense layers: the VGG-like nets of BinaryConnect and BNN, LeNet, AlexNet.
//
//   Conv2d -> [MaxPool ->] BatchNorm -> activation      per block
//   Flatten [or global average], Dense -> BatchNorm -> activation           per hidden width
//   Dense -> BatchNorm
//
// The order convolution, pooling, batch norm is that of the papers' code. The first layer quantizes its input, the
// network's, with `input`, every other layer with `activation_quantizer`. Parameters are named conv1/.., hidden1/..,
// output/...

#ifndef BITGRAD_MODELS_CONV_NET_H_
#define BITGRAD_MODELS_CONV_NET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/shape.h"
#include "bitgrad/models/layers/low_precision.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/sequential_model.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct ConvBlock {
  int64_t filters = 0;
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t pad = 1;
  int64_t pool = 0;  // window of max pooling; 0: none
  int64_t pool_stride = 0;
  int64_t groups = 1;
  int64_t maxout_pieces = 0;  // of each filter; 0: no maxout
  float max_norm = 0;         // of each filter's weights; 0: no constraint
  bool pool_partial = false;  // windows that reach over the lower and the right border are pooled, too
};

struct ConvNetOptions {
  Shape image;  // [height, width, channels]
  std::vector<ConvBlock> blocks;
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
  BatchNormOptions norm;
  float clip = 1.0f;
  Padding padding = Padding::kZero;
  bool float_ends = false;  // the first and the last layer are not quantized
  // As in MlpOptions; the pieces and the norm are those of dense layers.
  float input_keep = 1.0f;
  float hidden_keep = 1.0f;
  DropoutScaling dropout_scaling = DropoutScaling::kInTraining;
  int64_t maxout_pieces = 0;
  float max_norm = 0;
  bool output_starts_at_zero = false;
  PrecisionOptions precision;
  bool pools_last = false;      // blocks pool behind the activation, not behind the convolution
  bool global_average = false;  // of each channel, in place of flattening (Network in Network, arXiv 1312.4400)
};

class ConvNet final : public SequentialModel {
 public:
  // Takes images as vectors [batch, height * width * channels].
  ConvNet(const Scope& scope, const ConvNetOptions& options);
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_CONV_NET_H_
