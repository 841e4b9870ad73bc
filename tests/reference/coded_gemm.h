// Products of matrices of codes, computed code by code.

#ifndef BITGRAD_TESTS_REFERENCE_CODED_GEMM_H_
#define BITGRAD_TESTS_REFERENCE_CODED_GEMM_H_

#include <cstdint>

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/view.h"

namespace bitgrad::reference {

// The code that the stored integer c represents (core/encoding.h).
inline int64_t Code(const Encoding& encoding, int64_t c) {
  switch (encoding.kind) {
    case EncodingKind::kBinary: return c == 0 ? -1 : 1;
    case EncodingKind::kTernary: return c - 1;
    case EncodingKind::kSymmetric: return 2 * c - ((int64_t{1} << encoding.bits) - 1);
    case EncodingKind::kSigned: return c - ((int64_t{1} << (encoding.bits - 1)) - 1);
    case EncodingKind::kTwosComplement: return c - (int64_t{1} << (encoding.bits - 1));
    case EncodingKind::kLog: {
      // The codes in ascending order; the one in their middle is 0.
      const int64_t rank = c - ((int64_t{1} << (encoding.bits - 1)) - 1);
      const int64_t size = rank == 0 ? 0 : int64_t{1} << ((rank < 0 ? -rank : rank) - 1);
      return rank < 0 ? -size : size;
    }
    case EncodingKind::kLogNonzero: {
      // The upper half ascends from 1, and the lower one mirrors it.
      const int64_t half = int64_t{1} << (encoding.bits - 1);
      return c >= half ? int64_t{1} << (c - half) : -(int64_t{1} << (half - 1 - c));
    }
    case EncodingKind::kUnsigned:
    case EncodingKind::kPowerOfTwo:
    case EncodingKind::kFloat: return c;
  }
  return c;
}

// sum_k Code(a[i, k]) Code(b[j, k])
inline int64_t CodedDot(const Encoding& a_encoding, ConstMatrixView<uint8_t> a, int64_t i, const Encoding& b_encoding,
                        ConstMatrixView<uint8_t> b, int64_t j) {
  int64_t sum = 0;
  for (int64_t k = 0; k < a.cols; ++k) {
    sum += Code(a_encoding, a.at(i, k)) * Code(b_encoding, b.at(j, k));
  }
  return sum;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_CODED_GEMM_H_
