// BNN's shift-based batch norm of one column, in double precision, written from the paper (arXiv 1602.02830) and from
// the formulas of the authors' Torch code.

#ifndef BITGRAD_TESTS_REFERENCE_SHIFT_BATCH_NORM_H_
#define BITGRAD_TESTS_REFERENCE_SHIFT_BATCH_NORM_H_

#include <cmath>
#include <cstddef>
#include <vector>

#include "bitgrad/tests/reference/ap2.h"

namespace bitgrad::reference {

struct ShiftBatchNorm {
  double mean = 0;
  double variance = 0;    // mean(c AP2(c))
  double inv_std = 0;     // not rounded
  std::vector<double> c;  // x - mean
  std::vector<double> y;
};

inline ShiftBatchNorm ShiftBatchNormForward(const std::vector<double>& x, double gamma, double beta, double epsilon) {
  const auto m = static_cast<double>(x.size());
  ShiftBatchNorm norm;
  for (const double value : x) norm.mean += value / m;
  for (const double value : x) norm.c.push_back(value - norm.mean);
  for (const double c : norm.c) norm.variance += c * Ap2(c) / m;
  norm.inv_std = 1 / std::sqrt(norm.variance + epsilon);
  for (const double c : norm.c) norm.y.push_back(c * Ap2(norm.inv_std) * Ap2(gamma) + beta);
  return norm;
}

struct ShiftBatchNormGradients {
  std::vector<double> dx;
  double dgamma = 0, dbeta = 0;
};

// With the factor for c in the gradients, R = AP2(inv_std) and g = dy:
//   dx     = AP2(gamma) R (g - mean(g) - factor R^2 mean(factor g))
//   dgamma = sum(g R factor), dbeta = sum(g)
// The factor is AP2(c) in the Torch code, whose dgamma has AP2(c R) = AP2(c) R; in batch norm it is c.
inline ShiftBatchNormGradients ShiftBatchNormBackward(const ShiftBatchNorm& norm, const std::vector<double>& g,
                                                      double gamma, bool as_torch) {
  const auto m = static_cast<double>(g.size());
  const double r = Ap2(norm.inv_std);
  const auto factor = [&](size_t i) { return as_torch ? Ap2(norm.c[i]) : norm.c[i]; };
  ShiftBatchNormGradients gradients;
  double mean_product = 0;
  for (size_t i = 0; i < g.size(); ++i) {
    gradients.dbeta += g[i];
    gradients.dgamma += g[i] * (as_torch ? Ap2(norm.c[i] * r) : norm.c[i] * r);
    mean_product += factor(i) * g[i] / m;
  }
  for (size_t i = 0; i < g.size(); ++i) {
    gradients.dx.push_back(Ap2(gamma) * r * (g[i] - gradients.dbeta / m - factor(i) * r * r * mean_product));
  }
  return gradients;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_SHIFT_BATCH_NORM_H_
