// The product of coded operands as bytes (int8_gemm.cc), in parts, so that two kernels can use it: the GEMM, and the
// convolution with the patches that it gathers.

#ifndef BITGRAD_OPS_CPU_INT8_PROBLEM_H_
#define BITGRAD_OPS_CPU_INT8_PROBLEM_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/ops/cpu/coded_gemm.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::cpu {

// How many words of each row are expanded to bytes together: two cache lines, so that rows of up to 1,024 codes are
// read one after the other, which the hardware's prefetcher keeps up with. Transpositions take up to eight words.
inline constexpr int64_t kWordsTogether = 16;

struct Int8Problem {
  // For an `a` with these codes. The caller still sets the arranged rows, m, their terms and the output.
  Int8Problem(const Encoding& a, const ConstPlanesView& b)
      : steps((b.cols() + 31) / 32 * 8),
        a_encoding(a),
        b(b),
        terms{CodeMapOf(a), CodeMapOf(b.encoding), static_cast<int32_t>(b.cols())},
        is_wide((a.is_log() || b.encoding.is_log()) && LogSumsOf(a, b.encoding, b.cols()) == LogSums::kInt64),
        has_digits(b.encoding.is_log() || is_wide) {
    // Its digits are those of the distance to the least code.
    if (a.is_log()) terms.a.least = static_cast<int32_t>(a.least_code());
    if (has_digits) {
      terms.b = {1, 0};
    } else if (b.encoding.bits == kMaxCodeBits) {
      CenterColumns(128);  // Eight bits are too many for a signed byte.
    }
  }

  // The bytes of b are c - `value` from now on, so the encoding's least code moves.
  void CenterColumns(int32_t value) {
    center += value;
    terms.b.least += value * terms.b.step;
  }

  const uint8_t* a = nullptr;  // [m, a_digits, 4 steps]; each block of 32 is permuted as ArrangeInt8Row() does
  int64_t m = 0;
  int64_t steps;
  Encoding a_encoding;
  ConstPlanesView b;
  AffineTerms terms;
  int32_t center = 0;                  // the bytes of b are c - center, unless they are digits
  bool is_wide;                        // sums are of 64 bits
  bool has_digits;                     // the bytes of b are digits of its codes
  const int32_t* row_terms = nullptr;  // [m]; not read where sums are wide, in which they are 0
  RowClasses row_classes = {};
  DotOutput out = {};

  int a_digits() const { return a_encoding.is_log() ? UnsignedDigits(a_encoding) : 1; }
  int64_t digit_row_bytes() const { return 4 * steps; }
  int64_t row_bytes() const { return a_digits() * digit_row_bytes(); }
  int64_t words() const { return (b.cols() + 63) / 64; }
  int64_t groups() const { return (b.rows() + kGroupCols - 1) / kGroupCols; }
  int digits() const { return has_digits ? SignedDigits(b.encoding) : 1; }
  int64_t digit_bytes() const { return 16 * words() * kGroupCols * 4; }  // of one digit of a group of b, expanded
  int64_t block_bytes() const { return digits() * digit_bytes(); }       // of a group of b, digit 0 first
  // For ExpandInt8Group(): words of all planes, or a row of ones.
  int64_t scratch_bytes() const {
    return std::max(b.encoding.bits * kWordsTogether * kGroupCols * 8, (digit_row_bytes() + 63) / 64 * 64);
  }
};

// Permutes x[count] to the order in which the product reads it, and fills it up with zeros to digit_row_bytes(); of a
// logarithmic x, its digits one after the other. Returns the sum of x, or of the numbers that the digits make up.
int64_t ArrangeInt8Row(const Int8Problem& p, const uint8_t* x, int64_t count, uint8_t* y);

// Expands one group of columns to bytes, and computes its terms [kGroupCols]. They are below 2^31 unless is_wide.
void ExpandInt8Group(const Int8Problem& p, int64_t group, uint8_t* scratch, uint8_t* block, int64_t* column_terms);

// Multiplies row tiles [tile_begin, tile_end) with one group of columns, which is expanded, on the caller's thread.
void MultiplyInt8Tiles(const Int8Problem& p, int64_t group, int64_t tile_begin, int64_t tile_end, const uint8_t* block,
                       const int64_t* column_terms);

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_INT8_PROBLEM_H_
