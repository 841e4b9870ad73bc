// From 8-bit pixels to the range that nets are trained on.

#ifndef BITGRAD_DATA_NORMALIZE_H_
#define BITGRAD_DATA_NORMALIZE_H_

#include <cstdint>

namespace bitgrad {

// x = (2 p - 255) / 255, in [-1, 1]: symmetric, 0 -> -1, 255 -> +1.
//
// The float expression is a contract, not an implementation: 2 p - 255 is an integer in {-255,
// -253, ..., 255} and the one rounding of the division is off by less than 2^-25, so round(255 x)
// is 2 p - 255 again. That is how a packed first layer gets back integers, whose sums are exact.
inline float NormalizePixel(uint8_t pixel) { return static_cast<float>(2 * static_cast<int>(pixel) - 255) / 255.0f; }

}  // namespace bitgrad

#endif  // BITGRAD_DATA_NORMALIZE_H_
