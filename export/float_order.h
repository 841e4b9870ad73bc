// The floats in their order, numbered without gaps: what bisection over all of them takes.

#ifndef BITGRAD_EXPORT_FLOAT_ORDER_H_
#define BITGRAD_EXPORT_FLOAT_ORDER_H_

#include <bit>
#include <cstdint>

#include "absl/functional/function_ref.h"

namespace bitgrad {

// Ascends with x; -0 comes before 0. REQUIRES: x is no NaN.
inline int64_t FloatNumber(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return bits >> 31 ? -int64_t{bits & 0x7fffffffu} - 1 : int64_t{bits};
}
// The float of that number.
inline float NthFloat(int64_t number) {
  return number < 0 ? std::bit_cast<float>(static_cast<uint32_t>(-number - 1) | 0x80000000u)
                    : std::bit_cast<float>(static_cast<uint32_t>(number));
}

// The least x in (below, reached] with holds(x); 0 stands for -0, from which comparisons do not tell it. REQUIRES:
// below < reached, holds(reached), and holds() stays true as x grows; holds(below) is taken to be false.
inline float LeastFloat(float below, float reached, absl::FunctionRef<bool(float)> holds) {
  int64_t low = FloatNumber(below), high = FloatNumber(reached);
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (holds(NthFloat(middle)) ? high : low) = middle;
  }
  return NthFloat(high) == 0 ? 0.0f : NthFloat(high);
}

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FLOAT_ORDER_H_
