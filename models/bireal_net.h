// BiRealNet: a residual net with one binary convolution in each block. A shortcut around every single convolution adds
// the real-valued input to the convolution's integer sums, so that the real values are not lost to the next
// binarization (Liu et al., Bi-Real net, arXiv 1808.00278).
//
//   stem    Conv2d -> BatchNorm [-> MaxPool 3x3]                                   float
//   block   x + BatchNorm(Conv2d 3x3(q(x)))
//   head    global average pool -> Dense with bias                                 float
//
// Where a block has a stride or another number of channels than its input, the shortcut is not x but
// BatchNorm(Conv2d 1x1(AvgPool(x))), in float. Its pooling window has an odd size: the stride, or the stride + 1.
//
// Parameters are named stem/.., stage1/block1/.., output/...

#ifndef BITGRAD_MODELS_BIREAL_NET_H_
#define BITGRAD_MODELS_BIREAL_NET_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/shape.h"
#include "bitgrad/models/residual_stages.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/sequential_model.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct BiRealNetOptions {
  Shape image;  // [height, width, channels]
  int64_t stem_filters = 0;
  int64_t stem_kernel = 3;
  int64_t stem_stride = 1;
  int64_t stem_pool = 0;  // stride of the 3x3 max pooling; 0: none
  std::vector<ResidualStage> stages;
  int64_t classes = 0;
  Quantizer activation_quantizer;
  Quantizer weight;
  Quantizer gradient;
  Quantizer input_for_weight_gradient;
  BatchNormOptions norm;
  float clip = 1.0f;
  Padding padding = Padding::kZero;
};

class BiRealNet final : public SequentialModel {
 public:
  // Takes images as vectors [batch, height * width * channels].
  BiRealNet(const Scope& scope, const BiRealNetOptions& options);
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_BIREAL_NET_H_
