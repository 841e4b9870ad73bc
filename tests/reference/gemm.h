// C = alpha op(A) op(B) + beta C, in double precision.

#ifndef BITGRAD_TESTS_REFERENCE_GEMM_H_
#define BITGRAD_TESTS_REFERENCE_GEMM_H_

#include <cmath>
#include <cstdint>

#include "bitgrad/core/view.h"

namespace bitgrad::reference {

struct GemmElement {
  double value;
  double magnitude;  // the sum of the absolute values of all terms; rounding errors are relative to it
};

inline GemmElement Gemm(bool transpose_a, bool transpose_b, double alpha, ConstMatrixView<float> a,
                        ConstMatrixView<float> b, double beta, double c, int64_t i, int64_t j) {
  const int64_t k = transpose_a ? a.rows : a.cols;
  GemmElement element = {beta == 0 ? 0 : beta * c, beta == 0 ? 0 : std::fabs(beta * c)};
  for (int64_t l = 0; l < k; ++l) {
    const double product =
        alpha * (transpose_a ? a.at(l, i) : a.at(i, l)) * static_cast<double>(transpose_b ? b.at(j, l) : b.at(l, j));
    element.value += product;
    element.magnitude += std::fabs(product);
  }
  return element;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_GEMM_H_
