// Whitening of images, as Coates, Ng and Lee ("An analysis of single-layer networks in unsupervised feature learning",
// 2011) and Goodfellow et al. ("Maxout networks", 2013) prepare CIFAR-10: contrast normalization, then ZCA.

#ifndef BITGRAD_DATA_WHITENING_H_
#define BITGRAD_DATA_WHITENING_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/tensor.h"
#include "bitgrad/data/preprocessing.h"

namespace bitgrad {

// Global contrast normalization, per image over all its values:
//
//   y = scale * (x - mean(x)) / max(std(x), 1e-8)
//
// std is the biased one. An image of one colour becomes 0.
class ContrastNormalization final : public PreprocessingStep {
 public:
  explicit ContrastNormalization(float scale) : scale_(scale) {}
  void Apply(MatrixView<float> images) const override;

 private:
  float scale_;
};

// ZCA whitening, over the training images:
//
//   y = W (x - mean),   W = U diag(1 / sqrt(lambda + epsilon)) U^T,   U diag(lambda) U^T = cov(x)
//
// cov is the biased one. Of all W that make the components uncorrelated this one changes images least.
class ZcaWhitening final : public PreprocessingStep {
 public:
  // Learned are mean and W, [features^2] floats: 38 MB for CIFAR-10. The eigenvalues take time with the cube of this.
  static constexpr int64_t kMaxFeatures = 8192;

  // REQUIRES: epsilon > 0.
  explicit ZcaWhitening(float epsilon) : epsilon_(epsilon) {}

  // InvalidArgument for images of more than kMaxFeatures values.
  absl::Status SetShape(const ImageShape& shape) override;
  void Fit(Images images, int threads) override;
  std::vector<LearnedTensor> learned() override { return {{"mean", &mean_}, {"matrix", &matrix_}}; }
  void Apply(MatrixView<float> images) const override;

 private:
  float epsilon_;
  Tensor mean_;    // [features]
  Tensor matrix_;  // [features, features], symmetric
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_WHITENING_H_
