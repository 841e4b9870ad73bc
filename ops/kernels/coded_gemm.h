// Matrix products of codes with few bits. The operands are stored as core/encoding.h says: unsigned integers c of up to
// 8 bits, with code = least + step * c unless they are logarithmic. The result is
//
//   dot(i, j) = sum_k code_a[i, k] code_b[j, k]
//             = step_a step_b S + step_a least_b sum_k c_a + least_a step_b sum_k c_b + least_a least_b K
//
// with S = sum_k c_a c_b, which is a sum of popcounts over pairs of bit planes, or a sum of products of bytes. Both
// kernels are exact, so they agree to the last bit with each other and with any other exact way; ops/dot_kernel.h
// chooses between them.
//
// A logarithmic operand, whose products are shifts, is multiplied as bytes, too, but as those of its codes and not of
// what is stored, and of one operand or of both there may be several:
//
//   code_a = least_a + sum_d 2^(8 d) digit_a,d     0 <= digit < 256,      d < UnsignedDigits(a)
//   code_b = sum_d 2^(8 d) digit_b,d               -128 <= digit < 128,   d < SignedDigits(b)
//
//   dot = sum_{d, d'} 2^(8 (d + d')) sum_k digit_a,d digit_b,d' + least_a sum_k code_b
//
// The sums are integers of 32 or, where these might overflow, of 64 bits (LogSumsOf), and are rounded to float once.
//
// Both operands are row-major with K contiguous (activations [batch, in], weights [out, in]).
// REQUIRES: DotIsExact(a.encoding, b.encoding, K) or, where one is logarithmic and the output is floats, LogSumsOf()
// that are not kTooLarge; padding bits are zero. m, n and K may be any, zero included.

#ifndef BITGRAD_OPS_KERNELS_CODED_GEMM_H_
#define BITGRAD_OPS_KERNELS_CODED_GEMM_H_

#include <array>
#include <bit>
#include <cstdint>
#include <limits>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

inline constexpr int kMaxCodeBits = 8;

// Codes as bit planes: plane b holds bit b of c. The first encoding.bits planes are set and have equal extents and
// strides.
struct ConstPlanesView {
  Encoding encoding;
  std::array<ConstBitMatrixView, kMaxCodeBits> planes = {};

  int64_t rows() const { return planes[0].rows; }
  int64_t cols() const { return planes[0].cols; }
};

// Codes as bytes: each byte is a c.
struct ConstCodesView {
  Encoding encoding;
  ConstMatrixView<uint8_t> codes;
};

// How many signed bytes hold every code of an encoding: of 2^(8 d - 1) the digits are -2^7 and 1.
inline int SignedDigits(const Encoding& encoding) {
  return std::bit_width(static_cast<uint64_t>(encoding.max_code())) / 8 + 1;
}

// How many bytes hold every distance of a code to the least one.
inline int UnsignedDigits(const Encoding& encoding) {
  const auto largest = static_cast<uint64_t>(encoding.code(encoding.largest_stored()));
  return (std::bit_width(largest - static_cast<uint64_t>(encoding.least_code())) + 7) / 8;
}

// The integers in which a dot product of k codes is exact, of which those of one operand or of both are logarithmic.
enum class LogSums { kInt32, kInt64, kTooLarge };
inline LogSums LogSumsOf(const Encoding& a, const Encoding& b, int64_t k) {
  // least_a is an int32.
  if (a.max_code() > std::numeric_limits<int32_t>::max()) return LogSums::kTooLarge;
  // What kernels have before they add the last term of a dot product may be twice as large as that.
  if (DotIsWithin(a, b, k, std::numeric_limits<int32_t>::max() / 2)) return LogSums::kInt32;
  // The sum of one pair of digits is an int32: k digit_a digit_b < k 2^bits 2^7, twice that where codes have a distance
  // of two.
  const bool digits_fit = k <= (int64_t{1} << 23) >> (a.is_log() ? kMaxCodeBits : a.bits);
  return digits_fit && DotIsWithin(a, b, k, std::numeric_limits<int64_t>::max()) ? LogSums::kInt64 : LogSums::kTooLarge;
}

// The most thresholds that an output can have: their number is stored in a byte.
inline constexpr int kMaxLevels = 255;

// The output transform: what a kernel makes of the dot products. Exactly one of `floats`, `bits` and `codes` is set;
// all are [m, n].
struct DotOutput {
  // floats[i, j] = float(dot(i, j)) * scale.at(j)
  MatrixView<float> floats = {};
  ScaleView scale = {};
  // Bit j of row i: (dot(i, j) >= threshold[j]) != flip[j]
  BitMatrixView bits = {};
  // codes[i, j] = reached(i, j), or levels - reached(i, j) where flip[j], with
  //   reached(i, j) = #{l < levels : dot(i, j) >= threshold[l * n + j]}
  //
  // This is what follows a layer, batch norm and a quantizer of k bits, folded into 2^k - 1 comparisons of integers.
  // REQUIRES: 1 <= levels <= kMaxLevels; threshold ascends with l.
  MatrixView<uint8_t> codes = {};
  int levels = 1;
  // With bits [n], with codes [levels, n]: level_stride numbers from one level to the next, or n where that is 0.
  const int32_t* threshold = nullptr;
  int64_t level_stride = 0;
  const uint8_t* flip = nullptr;  // [n], 0 or 1

  // The number of outputs, n.
  int64_t cols() const { return floats.data != nullptr ? floats.cols : bits.words != nullptr ? bits.cols : codes.cols; }
  // The transform of the outputs from `first` on, without the matrix that it writes to.
  DotOutput TransformFrom(int64_t first) const {
    DotOutput out = {.scale = scale, .levels = levels, .level_stride = level_stride != 0 ? level_stride : cols()};
    if (scale.values != nullptr) out.scale.values += first * scale.stride;
    if (threshold != nullptr) out.threshold = threshold + first;
    if (flip != nullptr) out.flip = flip + first;
    return out;
  }
};

// What the product of bytes requires of its operands and its output.
inline bool Int8GemmIsExact(const Encoding& a, const Encoding& b, int64_t k, const DotOutput& out) {
  if (DotIsExact(a, b, k)) return true;
  return (a.is_log() || b.is_log()) && a.is_integer() && b.is_integer() && out.floats.data != nullptr &&
         LogSumsOf(a, b, k) != LogSums::kTooLarge;
}

// S as the sum of 2^(p + q) popcount(a_p & b_q) over all pairs of planes, or of fewer popcounts with the same result.
// REQUIRES: neither operand is logarithmic.
using PlaneGemm = void(ExecContext& context, const ConstPlanesView& a, const ConstPlanesView& b, const DotOutput& out);

// S as a sum of products of bytes, four at a time, into int32 accumulators. The planes of b are expanded to bytes block
// by block, in the cache. The operands may be logarithmic.
using Int8Gemm = void(ExecContext& context, const ConstCodesView& a, const ConstPlanesView& b, const DotOutput& out);

// c[i, j] = the stored c of the code that codes[i, j] holds as a float.   codes [m, n] float32, c [m, n] uint8.
// REQUIRES: the values are codes of the encoding, and it has at most 8 bits.
using PackCodes = void(ExecContext& context, const Encoding& encoding, ConstMatrixView<float> codes,
                       MatrixView<uint8_t> c);

// The inverse: codes[i, j] = the code of c[i, j], as a float.
using UnpackCodes = void(ExecContext& context, const Encoding& encoding, ConstMatrixView<uint8_t> c,
                         MatrixView<float> codes);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_CODED_GEMM_H_
