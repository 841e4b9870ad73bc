// Products of packed +-1 matrices.

#ifndef BITGRAD_TESTS_REFERENCE_PACKED_GEMM_H_
#define BITGRAD_TESTS_REFERENCE_PACKED_GEMM_H_

#include <bit>
#include <cstdint>

#include "bitgrad/core/bit_matrix.h"

namespace bitgrad::reference {

// sum_k a[i, k] b[j, k], bit by bit
inline int64_t Dot(ConstBitMatrixView a, int64_t i, ConstBitMatrixView b, int64_t j) {
  int64_t sum = 0;
  for (int64_t k = 0; k < a.cols; ++k) {
    sum += (a.bit(i, k) ? 1 : -1) * (b.bit(j, k) ? 1 : -1);
  }
  return sum;
}

// The same a word at a time, for products that are too large for Dot. REQUIRES: padding bits are zero, the
// strides equal.
inline int64_t DotOfWords(ConstBitMatrixView a, int64_t i, ConstBitMatrixView b, int64_t j) {
  int64_t different = 0;
  for (int64_t w = 0; w < a.stride; ++w) different += std::popcount(a.row(i)[w] ^ b.row(j)[w]);
  return a.cols - 2 * different;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_PACKED_GEMM_H_
