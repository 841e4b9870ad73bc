// NumberFormat: the format to which arithmetic of low precision rounds its numbers. Values stay float32 in memory; only
// those that the format has occur.
//
//   float              every float32: no rounding
//   half               IEEE binary16: 5 bits of exponent, 10 of significand, subnormals, infinities
//   bfloat16           8 bits of exponent, 7 of significand
//   fixed(b, i)        b bits in two's complement without the least number: a sign, i bits in front of the point
//   dynamic_fixed(b)   the same with an i that training adjusts (RangeControl)
//
// With n = b - 1 bits beside the sign, fixed-point values are k 2^(i - n) for whole k in [-(2^n - 1), 2^n - 1], and i,
// the range, may be negative or more than n:
//
//   round(x) = clip(rint(x 2^(n - i)), -(2^n - 1), 2^n - 1) 2^(i - n)          rint: to nearest, ties to even
//
// The bits include the sign, as in the paper's tables (Courbariaux et al., "Training deep neural networks with low
// precision multiplications", arXiv 1412.7024); the authors' code counts them without: its 9 are our 10.
// fixed(20, 5) has values up to 31.99994 in steps of 6.1e-5.

#ifndef BITGRAD_CORE_NUMBER_FORMAT_H_
#define BITGRAD_CORE_NUMBER_FORMAT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

enum class NumberFormatKind : int { kFloat = 0, kHalf = 1, kBfloat16 = 2, kFixed = 3, kDynamicFixed = 4 };

struct NumberFormat {
  NumberFormatKind kind = NumberFormatKind::kFloat;
  int bits = 0;   // of the two fixed-point formats, with the sign: 2 to 32
  int range = 0;  // i of kFixed, in [kLeastRange, kMostRange]

  // Beyond these a fixed-point number or its reciprocal would not be a normal float.
  static constexpr int kLeastRange = -60;
  static constexpr int kMostRange = 60;

  bool is_float() const { return kind == NumberFormatKind::kFloat; }
  bool is_fixed() const { return kind == NumberFormatKind::kFixed || kind == NumberFormatKind::kDynamicFixed; }
  friend bool operator==(const NumberFormat&, const NumberFormat&) = default;
};

// "half", "fixed(20, 5)"; an empty text is "float". NotFound for an unknown name, with the nearest one and all there
// are; InvalidArgument, naming the number, for one that is missing, too many, or out of its range.
absl::StatusOr<NumberFormat> ParseNumberFormat(absl::string_view text);
std::string ToString(const NumberFormat& format);

// How a kernel rounds: a format, the range of a dynamic one, and where overflows are counted.
struct Rounding {
  NumberFormatKind kind = NumberFormatKind::kFloat;
  int bits = 0;
  int fixed_range = 0;           // where `range` is null
  const float* range = nullptr;  // a whole number in the memory of the device
  // Null, or three floats in the memory of the device, to which a call adds: the share of the rounded values with |k|
  // >= 2^n - 1, that of those with |k| >= (2^n - 1) / 2, and 1. Fixed-point formats only.
  float* overflows = nullptr;
};

// How the range of a dynamic format is adjusted. After every `batches` steps, with r the share of values that were at
// the largest number of the format or beyond, and r' the share that would have been with a range less by one:
//
//   range + 1 where r > most_overflow;  else range - 1 where r' <= most_overflow;  else it stays
//
// r and r' are means over the steps, and are counted after rounding.
struct RangeControl {
  double most_overflow = 1e-4;
  int64_t batches = 100;
  int first_range = 5;
  friend bool operator==(const RangeControl&, const RangeControl&) = default;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_NUMBER_FORMAT_H_
