#include "bitgrad/data/standardization.h"

#include <algorithm>
#include <cmath>

namespace bitgrad {

absl::Status Standardization::SetShape(const ImageShape& shape) {
  mean_ = Tensor::Zeros(Shape({shape.channels}));
  inv_std_ = Tensor::Zeros(Shape({shape.channels}));
  return absl::OkStatus();
}

void Standardization::Fit(Images images, int /*threads*/) {
  const int64_t channels = mean_.num_elements();
  // x is in the order of 1, so sums of x and x^2 in double lose nothing that counts.
  std::vector<double> sum(channels), sum_of_squares(channels);
  double count = 0;
  images([&](MatrixView<float> block) {
    for (int64_t i = 0; i < block.size(); ++i) {
      const double x = block.data[i];
      sum[i % channels] += x;
      sum_of_squares[i % channels] += x * x;
    }
    count += static_cast<double>(block.size() / channels);
  });
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = sum[c] / count;
    const double std = std::sqrt(std::max(0.0, sum_of_squares[c] / count - mean * mean));
    mean_.mutable_data<float>()[c] = static_cast<float>(mean);
    inv_std_.mutable_data<float>()[c] = std > 1e-6 ? static_cast<float>(1 / std) : 1.0f;
  }
}

void Standardization::Apply(MatrixView<float> images) const {
  const int64_t channels = mean_.num_elements();
  const float* mean = mean_.data<float>();
  const float* inv_std = inv_std_.data<float>();
  for (int64_t i = 0; i < images.rows; ++i) {
    float* x = images.row(i);
    for (int64_t j = 0; j < images.cols; j += channels) {
      for (int64_t c = 0; c < channels; ++c) x[j + c] = (x[j + c] - mean[c]) * inv_std[c];
    }
  }
}

}  // namespace bitgrad
