// ResidualNet: a residual net of basic blocks (He et al., "Deep Residual Learning", arXiv 1512.03385), whose 3x3
// convolutions may be replaced by cheaper connections.
//
//   stem    Conv2d [-> norm -> act] [-> MaxPool 3x3]                                        float
//   block   act(norm(connection(act(norm(connection(x))))) + shortcut(x))
//   head    global average pool -> Dense with bias                                          float
//
// The stride of a stage is that of the first connection of its first block. The shortcut is x, or norm(Conv2d 1x1(x))
// in float, with the stride, where a block has a stride or another number of channels than its input.
//
// Connections (ResidualConnection):
//
//   kConv                   a 3x3 convolution: the net of the paper
//   kShiftAttention         SAL: a 3x3 convolution that learns which one of its taps each pair of channels keeps
//   kSharedShiftAttention   the same, with one choice for each input channel
//   kShift                  each input channel is moved by one fixed tap, then a 1x1 convolution
//
// The first three have a zero border of one pixel; quantizers are those of the blocks' connections alone.
//
// Attention has one temperature for the net, the parameter "temperature".
//
// Parameters are named stem/conv/.., stage1/block1/conv1/.., stage2/block1/shortcut/.., output/..., and those of
// activations that learn stem/act/.., stage1/block1/act1/.., stage1/block1/act2/...

#ifndef BITGRAD_MODELS_RESIDUAL_NET_H_
#define BITGRAD_MODELS_RESIDUAL_NET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/core/shape.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/shift_attention.h"
#include "bitgrad/models/residual_stages.h"
#include "bitgrad/models/scheduled_scalar.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/sequential_model.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

enum class ResidualConnection { kConv, kShiftAttention, kSharedShiftAttention, kShift };

struct ResidualNetOptions {
  Shape image;  // [height, width, channels]
  int64_t stem_filters = 0;
  int64_t stem_kernel = 3;
  int64_t stem_stride = 1;
  int64_t stem_pool = 0;  // stride of the 3x3 max pooling; 0: none
  std::vector<ResidualStage> stages;
  ResidualConnection connection = ResidualConnection::kConv;
  int64_t classes = 0;
  std::string activation = "relu";
  // Of the connections in the blocks.
  Quantizer activation_quantizer;
  Quantizer weight;
  Quantizer gradient;
  Quantizer input_for_weight_gradient;
  BatchNormOptions norm;
  float clip = 1.0f;
  // T of kShiftAttention and kSharedShiftAttention. The default is that of the paper's code.
  ScalarSchedule temperature = {.initial = 20, .final = 70, .change = ScalarChange::kExponential, .by_step = true};
};

class ResidualNet final : public SequentialModel {
 public:
  // Takes images as vectors [batch, height * width * channels].
  ResidualNet(const Scope& scope, const ResidualNetOptions& options);

  // Beside what is hardened of quantizers, the taps that attention keeps are the only ones from now on.
  absl::Status Harden(ExecContext& context) override;
  bool AnswerAsFrozen(bool frozen) override;
  // kShiftAttention and kSharedShiftAttention: how many numbers the net has, as the paper counts them.
  std::string Description() override;
  // The same, adds zero_kernels: the pairs of channels whose kernel is zero once it is hardened.
  std::vector<ModelValue> Report(ExecContext& context) override;

  // How many numbers of 32 bits the net has once it is hardened: of a kernel one weight, and 4 bits for its tap, or for
  // the taps of an input channel where filters share them.
  double KeptParameters() const;

 private:
  void AddConnection(const Scope& scope, const ResidualNetOptions& options, int64_t in, int64_t out, int64_t stride,
                     Sequential& layers);
  std::unique_ptr<Layer> Body(const Scope& scope, const ResidualNetOptions& options, const ActivationForm& activation,
                              int64_t in, int64_t out, int64_t stride);

  const ParameterStore& store_;
  ResidualConnection connection_;
  TapChoice choice_;
  bool hardened_ = false;
  std::vector<const ShiftAttentionConv2d*> attention_;
  double kept_minus_learned_ = 0;  // numbers of the hardened connections, less those that are learned
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RESIDUAL_NET_H_
