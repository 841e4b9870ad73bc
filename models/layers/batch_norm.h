// BatchNorm: batch normalization of each feature, x [.., n] -> [.., n], with gamma and beta that are learned. They
// begin at 1 and 0.
//
// In training the layer normalizes by the batch's statistics and keeps a moving average of them, by which it normalizes
// in evaluation: ops/batch_norm.h has the formula, its variants and their sources. During a NormEstimation
// (models/scope.h) an evaluation averages its batches' statistics instead: ops/batch_norm_estimation.h.

#ifndef BITGRAD_MODELS_LAYERS_BATCH_NORM_H_
#define BITGRAD_MODELS_LAYERS_BATCH_NORM_H_

#include <cstdint>
#include <string>

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/batch_norm.h"

namespace bitgrad {

struct BatchNormLayerOptions {
  int64_t features = 0;
  BatchNormOptions norm = {};
};

class BatchNorm final : public Layer {
 public:
  BatchNorm(const Scope& scope, const BatchNormLayerOptions& options);
  Var operator()(const Var& x) override;

 private:
  std::string path_;
  BatchNormOptions options_;
  ParameterStore& store_;
  Parameter& gamma_;
  Parameter& beta_;
  Parameter& running_mean_;
  Parameter& running_statistic_;
  // The estimation that the running statistics were last averaged in, and how many batches it has seen here.
  int64_t estimation_ = 0;
  int64_t estimated_batches_ = 0;
};

// Images [N, H, W, C] are normalized by channel: the last dimension is that of the features.
using BatchNorm2d = BatchNorm;

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_BATCH_NORM_H_
