// Batch norm of one column, in double precision.

#ifndef BITGRAD_TESTS_REFERENCE_BATCH_NORM_H_
#define BITGRAD_TESTS_REFERENCE_BATCH_NORM_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/batch_norm.h"
#include "bitgrad/tests/reference/ap2.h"

namespace bitgrad::reference {

struct Moments {
  double mean;
  double variance;
};

// Computed in two passes: the mean, then the mean squared deviation.
inline Moments ColumnMoments(ConstMatrixView<float> x, int64_t j) {
  Moments moments = {0, 0};
  for (int64_t i = 0; i < x.rows; ++i) moments.mean += x.at(i, j) / static_cast<double>(x.rows);
  for (int64_t i = 0; i < x.rows; ++i) {
    const double d = x.at(i, j) - moments.mean;
    moments.variance += d * d / static_cast<double>(x.rows);
  }
  return moments;
}

// The variance of shifts, mean(c AP2(c)). AP2 jumps, so c is the very float that a kernel has.
inline double ShiftedVariance(ConstMatrixView<float> x, float mean, int64_t j) {
  double variance = 0;
  for (int64_t i = 0; i < x.rows; ++i) {
    const double c = x.at(i, j) - mean;
    variance += c * Ap2(c) / static_cast<double>(x.rows);
  }
  return variance;
}

inline double InverseStd(double variance, double epsilon, EpsilonPlacement placement) {
  return placement == EpsilonPlacement::kInsideRoot ? 1 / std::sqrt(variance + epsilon)
                                                    : 1 / (std::sqrt(variance) + epsilon);
}

struct BatchNormGradients {
  std::vector<double> dx;
  std::vector<double> magnitude;  // the sums of the magnitudes of dx's terms
  double dgamma = 0, dbeta = 0;
  double dgamma_magnitude = 0, dbeta_magnitude = 0;
};

// The gradients for given statistics.
inline BatchNormGradients BatchNormBackward(ConstMatrixView<float> x, ConstMatrixView<float> dy, double gamma,
                                            float mean, double variance, float inv_std, EpsilonPlacement placement,
                                            BatchNormArithmetic arithmetic, int64_t j) {
  // Where it is rounded to a power of two, it is so from the very float that a kernel has.
  const auto normalized = [&](int64_t i) {
    return arithmetic == BatchNormArithmetic::kShiftTorch ? Ap2((x.at(i, j) - mean) * inv_std)
                                                          : (double{x.at(i, j)} - mean) * inv_std;
  };
  const double m = static_cast<double>(x.rows);
  double kappa = 1;
  if (placement == EpsilonPlacement::kOutsideRoot) {
    kappa = variance == 0 ? 0 : 1 / (std::sqrt(variance) * inv_std);
  }
  BatchNormGradients g;
  for (int64_t i = 0; i < x.rows; ++i) {
    const double xhat = normalized(i);
    g.dbeta += dy.at(i, j);
    g.dgamma += dy.at(i, j) * xhat;
    g.dbeta_magnitude += std::fabs(dy.at(i, j));
    g.dgamma_magnitude += std::fabs(dy.at(i, j) * xhat);
  }
  for (int64_t i = 0; i < x.rows; ++i) {
    const double xhat = normalized(i);
    g.dx.push_back(gamma * inv_std * (dy.at(i, j) - g.dbeta / m - kappa * xhat * g.dgamma / m));
    g.magnitude.push_back(std::fabs(gamma * inv_std) * (std::fabs(dy.at(i, j)) + g.dbeta_magnitude / m +
                                                        kappa * std::fabs(xhat) * g.dgamma_magnitude / m));
  }
  return g;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_BATCH_NORM_H_
