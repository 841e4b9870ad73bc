// BatchNorm: batch normalization of each feature, x [.., n] -> [.., n], with gamma and beta that are learned. They
// begin at 1 and 0. The formula, its variants and the sources are in ops/batch_norm.h.

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
  Parameter& gamma_;
  Parameter& beta_;
  Parameter& running_mean_;
  Parameter& running_statistic_;
};

// Images [N, H, W, C] are normalized by channel: the last dimension is that of the features.
using BatchNorm2d = BatchNorm;

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_BATCH_NORM_H_
