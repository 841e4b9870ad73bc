// Standardization: mean 0 and standard deviation 1 of every channel over the training images.
//
//   y = (x - mean[channel]) * inv_std[channel]
//
// mean and inv_std = 1 / std are learned; a channel that never changes keeps inv_std = 1.

#ifndef BITGRAD_DATA_STANDARDIZATION_H_
#define BITGRAD_DATA_STANDARDIZATION_H_

#include <vector>

#include "bitgrad/core/tensor.h"
#include "bitgrad/data/preprocessing.h"

namespace bitgrad {

class Standardization final : public PreprocessingStep {
 public:
  absl::Status SetShape(const ImageShape& shape) override;
  void Fit(Images images, int threads) override;
  std::vector<LearnedTensor> learned() override { return {{"mean", &mean_}, {"inv_std", &inv_std_}}; }
  void Apply(MatrixView<float> images) const override;

 private:
  Tensor mean_;     // [channels]
  Tensor inv_std_;  // [channels]
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_STANDARDIZATION_H_
