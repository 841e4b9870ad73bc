// Encoding: which integers (codes) represent the values of a quantizer. value = code * scale.
//
//   kind        codes                               bits   example
//   kFloat      none (the value itself)             32     identity
//   kBinary     -1, +1                              1      sign
//   kTernary    -1, 0, +1                           2      ternary
//   kSymmetric  odd integers 2c - (2^k - 1)         k      k_bit(k); 8-bit pixels scaled to [-1, 1]
//   kUnsigned   0 .. 2^k - 1                        k      dorefa_activation(k)
//   kSigned     -(2^(k-1) - 1) .. 2^(k-1) - 1       k      stochastic_round(k); gradients only, never in files
//   kTwosComplement  -2^(k-1) .. 2^(k-1) - 1        k      lsq(k) of weights
//   kLog        0, +-2^e, e = 0 .. 2^(k-1) - 2      k      log_quant(k), 2 < k < 8
//   kLogNonzero +-2^e, e = 0 .. 2^(k-1) - 1         k      log_quant(k, zero=false), 1 < k < 7
//   kPowerOfTwo none: the value is 0 or +-2^e       k      exponential_round; e is one of 2^(k-1) - 1 exponents
//
// A layer whose two operands have integer codes multiplies the codes and applies both scales once, to the finished sum.
// Sums of integers below 2^24 are exact in float and in int32, in any order: this is why the packed model gives the
// graph's answers to the last bit.

#ifndef BITGRAD_CORE_ENCODING_H_
#define BITGRAD_CORE_ENCODING_H_

#include <cstdint>

#include "bitgrad/core/log_code.h"

namespace bitgrad {

// Values are written to files (packed_model.proto): never renumber.
enum class EncodingKind : int {
  kFloat = 0,
  kBinary = 1,
  kTernary = 2,
  kSymmetric = 3,
  kUnsigned = 4,
  kSigned = 5,
  kTwosComplement = 6,
  kLog = 7,
  kPowerOfTwo = 8,
  kLogNonzero = 9
};

struct Encoding {
  EncodingKind kind = EncodingKind::kFloat;
  int bits = 32;  // storage per value

  bool is_integer() const { return kind != EncodingKind::kFloat && kind != EncodingKind::kPowerOfTwo; }
  // Whether the codes are powers of two, which core/log_code.h describes: products with them are shifts.
  bool is_log() const { return kind == EncodingKind::kLog || kind == EncodingKind::kLogNonzero; }
  LogCodes log_codes() const { return LogCodes(bits, kind == EncodingKind::kLog); }
  // Whether the codes are integers at equal distances.
  bool is_affine() const { return is_integer() && !is_log(); }
  // Whether a product with such a value takes no multiplication: it is -1, 0, +1 or, for a shift, a power of two.
  bool is_power_of_two() const {
    return is_log() || kind == EncodingKind::kPowerOfTwo || (is_integer() && max_code() == 1);
  }
  // The largest |code|. REQUIRES: is_integer().
  int64_t max_code() const {
    if (kind == EncodingKind::kBinary || kind == EncodingKind::kTernary) return 1;
    if (kind == EncodingKind::kTwosComplement) return int64_t{1} << (bits - 1);
    if (is_log()) return CodeOfRank(log_codes().largest_rank());
    return (int64_t{1} << (kind == EncodingKind::kSigned ? bits - 1 : bits)) - 1;
  }
  // Memory and files hold a code as an unsigned integer c of `bits` bits, and bit plane b holds bit b of c. The code is
  // least_code() + code_step() * c where it is_affine(), else that of core/log_code.h. REQUIRES: is_integer(), of
  // code_step() is_affine().
  int64_t code(int64_t c) const {
    return is_log() ? CodeOfRank(log_codes().Rank(static_cast<int>(c))) : least_code() + code_step() * c;
  }
  // The inverse. What is no code is stored as one next to it, on the side of 0 where codes are logarithmic, else below
  // it.
  int64_t stored(int64_t code) const {
    if (is_log()) return log_codes().Stored(RankOfFloat(static_cast<float>(code)));
    return (code - least_code()) / code_step();
  }
  // The largest c: the number of codes but one. REQUIRES: bits <= 8.
  int64_t largest_stored() const {
    if (is_log()) return log_codes().largest_stored();
    if (kind == EncodingKind::kTernary) return 2;
    return (int64_t{1} << bits) - (kind == EncodingKind::kSigned ? 2 : 1);
  }
  int64_t code_step() const { return kind == EncodingKind::kBinary || kind == EncodingKind::kSymmetric ? 2 : 1; }
  int64_t least_code() const { return kind == EncodingKind::kUnsigned ? 0 : -max_code(); }
  friend bool operator==(const Encoding&, const Encoding&) = default;
};

// float represents every integer up to this magnitude exactly.
inline constexpr int64_t kMaxExactFloatInteger = int64_t{1} << 24;

// Whether no dot product of k elements of these encodings exceeds `limit` in size. REQUIRES: both are of integers.
inline bool DotIsWithin(const Encoding& a, const Encoding& b, int64_t k, int64_t limit) {
  // The product of both may be no int64.
  return k <= limit / a.max_code() / b.max_code();
}

// Whether float arithmetic gives the exact integer for any dot product of k elements of these encodings, in any order.
inline bool DotIsExact(const Encoding& a, const Encoding& b, int64_t k) {
  return a.is_integer() && b.is_integer() && DotIsWithin(a, b, k, kMaxExactFloatInteger);
}

constexpr const char* Name(EncodingKind kind) {
  switch (kind) {
    case EncodingKind::kFloat: return "float";
    case EncodingKind::kBinary: return "binary";
    case EncodingKind::kTernary: return "ternary";
    case EncodingKind::kSymmetric: return "symmetric";
    case EncodingKind::kUnsigned: return "unsigned";
    case EncodingKind::kSigned: return "signed";
    case EncodingKind::kTwosComplement: return "twos_complement";
    case EncodingKind::kLog: return "log";
    case EncodingKind::kLogNonzero: return "log_nonzero";
    case EncodingKind::kPowerOfTwo: return "power_of_two";
  }
  return "unknown";
}

}  // namespace bitgrad

#endif  // BITGRAD_CORE_ENCODING_H_
