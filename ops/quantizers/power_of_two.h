// Powers of two of floats, by their bits. Shared by the quantizers whose values are 0 and +-2^e, and by the formulas of
// BNN that multiply by shifts.

#ifndef BITGRAD_OPS_QUANTIZERS_POWER_OF_TWO_H_
#define BITGRAD_OPS_QUANTIZERS_POWER_OF_TWO_H_

#include <bit>
#include <cstdint>

namespace bitgrad {

// 2^e. REQUIRES: -126 <= e <= 127, the exponents of normal floats.
constexpr float PowerOfTwo(int e) { return std::bit_cast<float>(static_cast<uint32_t>(e + 127) << 23); }

constexpr float Magnitude(float x) { return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0x7fffffffu); }

// x with the sign of `sign`. REQUIRES: x is not negative.
constexpr float WithSignOf(float x, float sign) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(x) | (std::bit_cast<uint32_t>(sign) & 0x80000000u));
}

// The bits of a code that has a sign and one of so many exponents, or is 0.
constexpr int LogBits(int exponents) {
  int bits = 2;
  while ((1 << (bits - 1)) < exponents + 1) ++bits;
  return bits;
}

// The largest power of two that is not above x, 2^floor(log2 x), for a normal x > 0; 0 for a subnormal one or 0, and
// infinity for infinity and NaN.
constexpr float PowerBelow(float x) { return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0x7f800000u); }

// AP2, the power of two nearest to x on the logarithmic scale, 2^round(log2 x), for a normal x > 0: the point of
// decision between 2^e and 2^(e+1) is sqrt(2) 2^e, which is no float. Infinity beyond the largest power.
constexpr float NearestPower(float x) {
  // The first float above sqrt(2) has these bits of a significand; with what is added, they carry into the exponent.
  constexpr uint32_t kCarry = 0x800000u - 0x3504f4u;
  return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + kCarry) & 0x7f800000u);
}

// AP2 of a number of any sign, which it keeps: AP2(1.45) = 2, AP2(-0.7) = -0.5, AP2(0) = 0. A NaN gives 0
// or infinity.
constexpr float SignedNearestPower(float x) { return WithSignOf(NearestPower(Magnitude(x)), x); }

// The power of two to which a size is rounded at random so that its mean is the size,
//
//   2^k with probability 2 - size / 2^k, else 2^(k+1),   k = floor(log2 size) clipped to [least, most]
//   below 2^least:    2^least with probability size / 2^least, else 0
//   above 2^(most+1): 2^(most+1)
//
// where least and most are given as powers and u is uniform in [0, 1). 0 stays 0.
constexpr float RandomPower(float size, float least, float most, float u) {
  const float below = PowerBelow(size);
  const float clipped = below < least ? least : below < most ? below : most;
  // The difference is exact in [clipped, 2 clipped], and the product by a power of two as well.
  const float above = size - clipped > u * clipped ? clipped + clipped : clipped;
  return size < least ? (u * least < size ? least : 0.0f) : above;
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_POWER_OF_TWO_H_
