#include "bitgrad/data/whitening.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "eigen3/Eigen/Eigenvalues"
#include "omp.h"
#include "oneapi/dnnl/dnnl.h"

namespace bitgrad {
namespace {

// c = op(a) op(b), row-major, c [m, n], inner dimension k. oneDNN takes its number of threads from the calling thread's
// OpenMP setting. Throws std::runtime_error where oneDNN fails: the arguments are right, so it lacks memory.
void Multiply(int threads, char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
              const float* b, float* c) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  const dnnl_status_t status = dnnl_sgemm(transpose_a, transpose_b, m, n, k, 1.0f, a, transpose_a == 'T' ? m : k, b,
                                          transpose_b == 'T' ? k : n, 0.0f, c, n);
  omp_set_num_threads(before);
  if (status != dnnl_success) {
    throw std::runtime_error(
        absl::StrCat("zca: oneDNN cannot multiply [", m, ", ", k, "] by [", k, ", ", n,
                     "]: ", status == dnnl_out_of_memory ? "out of memory" : absl::StrCat("status ", status)));
  }
}

void Subtract(const float* mean, MatrixView<float> x) {
  for (int64_t i = 0; i < x.rows; ++i) {
    for (int64_t j = 0; j < x.cols; ++j) x.at(i, j) -= mean[j];
  }
}

}  // namespace

void ContrastNormalization::Apply(MatrixView<float> images) const {
  const double n = static_cast<double>(images.cols);
  for (int64_t i = 0; i < images.rows; ++i) {
    float* x = images.row(i);
    double sum = 0, sum_of_squares = 0;
    for (int64_t j = 0; j < images.cols; ++j) sum += x[j];
    const float mean = static_cast<float>(sum / n);
    for (int64_t j = 0; j < images.cols; ++j) {
      x[j] -= mean;
      sum_of_squares += static_cast<double>(x[j]) * x[j];
    }
    const float gain = scale_ / static_cast<float>(std::max(std::sqrt(sum_of_squares / n), 1e-8));
    for (int64_t j = 0; j < images.cols; ++j) x[j] *= gain;
  }
}

absl::Status ZcaWhitening::SetShape(const ImageShape& shape) {
  const int64_t features = shape.features();
  if (features > kMaxFeatures) {
    return absl::InvalidArgumentError(absl::StrCat("preprocessing 'zca': images of ", shape.ToString(), " have ",
                                                   features, " values; it can whiten up to ", kMaxFeatures,
                                                   ", make the images smaller"));
  }
  mean_ = Tensor::Zeros(Shape({features}));
  matrix_ = Tensor::Zeros({features, features});
  return absl::OkStatus();
}

void ZcaWhitening::Fit(Images images, int threads) {
  const int64_t features = mean_.num_elements();
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(features);
  double count = 0;
  images([&](MatrixView<float> block) {
    for (int64_t i = 0; i < block.rows; ++i) {
      for (int64_t j = 0; j < features; ++j) sum[j] += block.at(i, j);
    }
    count += static_cast<double>(block.rows);
  });
  for (int64_t j = 0; j < features; ++j) {
    mean_.mutable_data<float>()[j] = static_cast<float>(sum[j] / count);
  }

  // Products of blocks in float, their sum in double.
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(features, features);
  Eigen::MatrixXf product(features, features);
  images([&](MatrixView<float> block) {
    Subtract(mean_.data<float>(), block);
    Multiply(threads, 'T', 'N', features, features, block.rows, block.data, block.data, product.data());
    covariance += product.cast<double>();
  });
  covariance /= count;

  // With S = diag((lambda + epsilon)^(-1/4)): W = (U S) (U S)^T.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  const Eigen::ArrayXd eigenvalues = solver.eigenvalues().array().max(0.0) + double{epsilon_};
  const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> factor =
      (solver.eigenvectors() * eigenvalues.pow(-0.25).matrix().asDiagonal()).cast<float>();
  Multiply(threads, 'N', 'T', features, features, features, factor.data(), factor.data(),
           matrix_.mutable_data<float>());
}

void ZcaWhitening::Apply(MatrixView<float> images) const {
  BITGRAD_DCHECK(images.contiguous());
  const int64_t features = mean_.num_elements();
  Subtract(mean_.data<float>(), images);
  const std::vector<float> centred(images.data, images.data + images.size());
  // On one thread: batches are prepared on threads of their own.
  Multiply(/*threads=*/1, 'N', 'N', images.rows, features, features, centred.data(), matrix_.data<float>(),
           images.data);
}

}  // namespace bitgrad
