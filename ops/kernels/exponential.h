// exp, sigmoid and tanh for all devices: polynomials in float32, of additions, multiplications, a division and integer
// operations on bits. So they vectorize, and their results have the same bits on every instruction set of the CPU and
// on the GPU (nothing is contracted into fused multiply-adds, docs/conventions.md). All three are monotone.
// (tests/ops/kernels/elementwise_test)

#ifndef BITGRAD_OPS_KERNELS_EXPONENTIAL_H_
#define BITGRAD_OPS_KERNELS_EXPONENTIAL_H_

#include <bit>
#include <cstdint>

namespace bitgrad {

// e^x with an error below 1 unit in the last place, denormal results included. Infinity from
// 88.7228394 on, 0 below -103.972; exp(NaN) is NaN.
//
// x = n ln 2 + r with a whole n and |r| <= ln(2) / 2: e^x = 2^n e^r. ln 2 is split into two floats, the first of which
// has so few bits that its product with n is exact (Cody & Waite).
constexpr float Exponential(float x) {
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  // Added to a float below 2^22, it leaves the nearest whole number in the last bits.
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23
  // Comparisons with NaN are false, so that NaN stays.
  const float low = x < -104.0f ? -104.0f : x;
  const float clipped = low > 89.0f ? 89.0f : low;
  const float shifted = clipped * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (clipped - n * kLn2High) - n * kLn2Low;
  // (e^r - 1 - r) / r^2 on [-0.3466, 0.3466].
  float q = 1.9875691500e-4f;
  q = q * r + 1.3981999507e-3f;
  q = q * r + 8.3334519073e-3f;
  q = q * r + 4.1665795894e-2f;
  q = q * r + 1.6666665459e-1f;
  q = q * r + 5.0000001201e-1f;
  const float e = 1.0f + (r + (r * r) * q);
  // 2^n as the product of two powers, each of a normal float: only the second multiplication rounds, where the result
  // is denormal.
  const uint32_t exponent = std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kRound);
  const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(exponent) >> 1);
  const float first = std::bit_cast<float>((half + 127u) << 23);
  const float second = std::bit_cast<float>((exponent - half + 127u) << 23);
  return e * first * second;
}

// 1 / (1 + e^-x) with an error below 2.5 units in the last place; 0 below -88.72, where the formula is below 2.9e-39.
constexpr float Sigmoid(float x) { return 1.0f / (1.0f + Exponential(-x)); }

// tanh(x) with an error below 1.5 units in the last place. tanh(-0) = -0.
constexpr float HyperbolicTangent(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const float size = std::bit_cast<float>(bits & 0x7fffffffu);
  // Near 0, x + x^3 P(x^2): 1 - 2 / (e^2x + 1) would cancel.
  const float square = size * size;
  float p = -5.70498872745e-3f;
  p = p * square + 2.06390887954e-2f;
  p = p * square - 5.37397155531e-2f;
  p = p * square + 1.33314422036e-1f;
  p = p * square - 3.33332819422e-1f;
  const float small = size + size * (square * p);
  const float large = 1.0f - 2.0f / (1.0f + Exponential(size + size));
  // A NaN is not below, and stays NaN.
  const float y = size < 0.625f ? small : large;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(y) | (bits & 0x80000000u));
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_EXPONENTIAL_H_
