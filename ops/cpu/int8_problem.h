// The product of bytes for whoever has its operands in hand (int8_gemm.cc): the GEMM, and the convolution with its
// patches.

#ifndef BITGRAD_OPS_CPU_INT8_PROBLEM_H_
#define BITGRAD_OPS_CPU_INT8_PROBLEM_H_

#include <cstdint>

#include "bitgrad/ops/cpu/coded_gemm.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::cpu {

struct Int8Problem {
  // For `a` of these codes; arranged rows, their terms and the output are still to be set.
  Int8Problem(const Encoding& a, const ConstPlanesView& b)
      : steps((b.cols() + 31) / 32 * 8),
        b(b),
        terms{CodeMapOf(a), CodeMapOf(b.encoding), static_cast<int32_t>(b.cols())} {
    // Bytes of 8 planes are c - 128.
    if (b.encoding.bits == kMaxCodeBits) terms.b.least += 128 * terms.b.step;
  }

  const uint8_t* a = nullptr;  // [m, 4 steps], each block of 32 in the order of the steps (ArrangeInt8Row)
  int64_t m = 0;
  int64_t steps;
  ConstPlanesView b;
  AffineTerms terms;
  const int32_t* row_terms = nullptr;  // [m]
  RowClasses row_classes = {};
  DotOutput out = {};

  int64_t row_bytes() const { return 4 * steps; }
  int64_t words() const { return (b.cols() + 63) / 64; }
  int64_t block() const { return 16 * words() * kGroupCols * 4; }  // bytes of b's group
  int64_t scratch_bytes() const { return block() + words() * kGroupCols * 8; }
};

// Brings x[count] into the order in which the product reads it, filled up with zeros to row_bytes(). Returns the sum of
// x.
int32_t ArrangeInt8Row(const Int8Problem& p, const uint8_t* x, int64_t count, uint8_t* y);

// Row tiles [tile_begin, tile_end) of one group of columns, with scratch_bytes() of scratch. On the caller's thread.
void MultiplyInt8Tiles(const Int8Problem& p, int64_t group, int64_t tile_begin, int64_t tile_end, uint8_t* scratch);

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_INT8_PROBLEM_H_
