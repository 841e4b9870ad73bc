// Rounding to number formats in other words than those of ops/kernels/round_numbers.h.

#ifndef BITGRAD_TESTS_REFERENCE_NUMBER_FORMAT_H_
#define BITGRAD_TESTS_REFERENCE_NUMBER_FORMAT_H_

#include <cmath>
#include <limits>

#include "bitgrad/core/number_format.h"

namespace bitgrad::reference {

// A float with `significand` bits of significand beside the leading one, whose normal numbers begin at 2^least and end
// below 2^most: to the nearest, ties to even.
inline float RoundToFloat(float x, int significand, int least, int most) {
  if (!std::isfinite(x) || x == 0) return x;
  const int exponent = std::max(std::ilogb(x), least);
  // In steps of the last place; doubles are exact here.
  const double rounded =
      std::ldexp(std::nearbyint(std::ldexp(double{x}, significand - exponent)), exponent - significand);
  const double limit = std::ldexp(1.0, most);
  if (std::fabs(rounded) >= limit) return std::copysign(std::numeric_limits<float>::infinity(), x);
  return std::copysign(static_cast<float>(std::fabs(rounded)), x);
}

// The largest k of a fixed-point format.
inline double MostCode(int bits) { return std::ldexp(1.0, bits - 1) - 1; }

inline float RoundToFormat(const NumberFormat& format, float x) {
  switch (format.kind) {
    case NumberFormatKind::kFloat: return x;
    case NumberFormatKind::kHalf: return RoundToFloat(x, 10, -14, 16);
    case NumberFormatKind::kBfloat16: return RoundToFloat(x, 7, -126, 128);
    case NumberFormatKind::kFixed:
    case NumberFormatKind::kDynamicFixed: break;
  }
  if (std::isnan(x)) return x;
  const int shift = format.bits - 1 - format.range;
  const double most = MostCode(format.bits);
  const double code = std::nearbyint(std::fmin(most, std::fmax(-most, std::ldexp(double{x}, shift))));
  return static_cast<float>(std::ldexp(code, -shift));
}

// How many of the largest codes |x| has: |k| / (2^n - 1).
inline double ShareOfMost(const NumberFormat& format, float x) {
  return std::fabs(std::ldexp(double{x}, format.bits - 1 - format.range)) / MostCode(format.bits);
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_NUMBER_FORMAT_H_
