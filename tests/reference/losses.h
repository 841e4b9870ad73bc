// Losses, in double precision and directly from their formulas.

#ifndef BITGRAD_TESTS_REFERENCE_LOSSES_H_
#define BITGRAD_TESTS_REFERENCE_LOSSES_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/core/view.h"

namespace bitgrad::reference {

inline std::vector<double> Softmax(ConstMatrixView<float> logits, int64_t i) {
  double max = logits.at(i, 0);
  for (int64_t j = 0; j < logits.cols; ++j) max = std::max<double>(max, logits.at(i, j));
  std::vector<double> p;
  double total = 0;
  for (int64_t j = 0; j < logits.cols; ++j) {
    p.push_back(std::exp(logits.at(i, j) - max));
    total += p.back();
  }
  for (double& value : p) value /= total;
  return p;
}

inline double CrossEntropy(ConstMatrixView<float> logits, const int32_t* labels) {
  double loss = 0;
  for (int64_t i = 0; i < logits.rows; ++i) loss -= std::log(Softmax(logits, i)[labels[i]]);
  return logits.rows == 0 ? 0 : loss / static_cast<double>(logits.rows);
}

inline double HingeTerm(ConstMatrixView<float> logits, const int32_t* labels, int64_t i, int64_t j) {
  const double t = j == labels[i] ? 1 : -1;
  return std::max(0.0, 1 - t * logits.at(i, j));
}

inline double SquaredHinge(ConstMatrixView<float> logits, const int32_t* labels, double scale) {
  double loss = 0;
  for (int64_t i = 0; i < logits.rows; ++i) {
    for (int64_t j = 0; j < logits.cols; ++j) {
      loss += scale * std::pow(HingeTerm(logits, labels, i, j), 2);
    }
  }
  return loss;
}

inline int64_t CountErrors(ConstMatrixView<float> logits, const int32_t* labels) {
  int64_t errors = 0;
  for (int64_t i = 0; i < logits.rows; ++i) {
    const float* row = logits.row(i);
    const bool nan = std::any_of(row, row + logits.cols, [](float v) { return std::isnan(v); });
    errors += nan || std::max_element(row, row + logits.cols) - row != labels[i];
  }
  return errors;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_LOSSES_H_
