// Products of packed +-1 matrices, computed bit by bit.

#ifndef BITGRAD_TESTS_REFERENCE_PACKED_GEMM_H_
#define BITGRAD_TESTS_REFERENCE_PACKED_GEMM_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"

namespace bitgrad::reference {

// sum_k a[i, k] b[j, k]
inline int64_t Dot(ConstBitMatrixView a, int64_t i, ConstBitMatrixView b, int64_t j) {
  int64_t sum = 0;
  for (int64_t k = 0; k < a.cols; ++k) {
    sum += (a.bit(i, k) ? 1 : -1) * (b.bit(j, k) ? 1 : -1);
  }
  return sum;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_PACKED_GEMM_H_
