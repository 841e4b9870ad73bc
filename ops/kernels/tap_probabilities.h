// The probabilities that attention gives to the taps of one kernel of a convolution, and their gradient, for all
// devices: the arithmetic of ops/tap_attention.h.
//
//   A~ = A / s,  s = sqrt(sum_t (A_t - mean A)^2 / (n - 1))      over the n taps of a kernel; only divided, not centred
//   P  = softmax(T A~)
//
// Probabilities below 2^-64 are 0. Where all A of a kernel are equal, s is 0 and P is 1/n, with the gradient 0. Sums
// are in double, in the order of the taps. Tap t of an array lies at t * stride.
//
// Source: Hacene et al., "Attention Based Pruning for Shift Networks", arXiv 1905.12300.

#ifndef BITGRAD_OPS_KERNELS_TAP_PROBABILITIES_H_
#define BITGRAD_OPS_KERNELS_TAP_PROBABILITIES_H_

#include <cmath>
#include <cstdint>

#include "bitgrad/ops/kernels/exponential.h"

namespace bitgrad {

// No kernel has more taps: 4 bits name one of them, or none.
inline constexpr int64_t kMaxTaps = 15;

struct TapSpread {
  double mean;
  double deviation;  // unbiased; 0 where all are equal

  // Below, quotients would not be finite in float. What is left of equal numbers after rounding is far below it, too.
  constexpr bool is_equal() const { return !(deviation > 1e-30); }
};
constexpr TapSpread SpreadOfTaps(int64_t taps, int64_t stride, const float* a) {
  double mean = 0;
  for (int64_t t = 0; t < taps; ++t) mean += static_cast<double>(a[t * stride]);
  mean /= static_cast<double>(taps);
  double squares = 0;
  for (int64_t t = 0; t < taps; ++t) {
    const double distance = static_cast<double>(a[t * stride]) - mean;
    squares += distance * distance;
  }
  return {mean, std::sqrt(squares / static_cast<double>(taps - 1))};
}

// p of a and T = temperature. REQUIRES: taps > 1.
constexpr void ProbabilitiesOfTaps(int64_t taps, int64_t stride, const float* a, float temperature, float* p) {
  // Smaller ones are nothing beside the largest, and their products would be denormal numbers, which take convolutions
  // a hundred times as long.
  constexpr double kLeastProbability = 0x1p-64;
  const TapSpread spread = SpreadOfTaps(taps, stride, a);
  if (spread.is_equal()) {
    for (int64_t t = 0; t < taps; ++t) p[t * stride] = 1.0f / static_cast<float>(taps);
    return;
  }
  const double factor = static_cast<double>(temperature) / spread.deviation;
  float largest = 0;
  for (int64_t t = 0; t < taps; ++t) {
    const float logit = static_cast<float>(factor * static_cast<double>(a[t * stride]));
    p[t * stride] = logit;
    if (t == 0 || largest < logit) largest = logit;
  }
  double sum = 0;
  for (int64_t t = 0; t < taps; ++t) {
    const float power = Exponential(p[t * stride] - largest);
    p[t * stride] = power;
    sum += static_cast<double>(power);
  }
  for (int64_t t = 0; t < taps; ++t) {
    const double share = static_cast<double>(p[t * stride]) / sum;
    p[t * stride] = share < kLeastProbability ? 0.0f : static_cast<float>(share);
  }
}

// da of dp(t), the gradient that arrives at P_t, a double: through the softmax and the division by s.
template <typename Arriving>
constexpr void GradientOfTaps(int64_t taps, int64_t stride, const float* a, float temperature, const float* p,
                              const Arriving& dp, float* da) {
  const TapSpread spread = SpreadOfTaps(taps, stride, a);
  if (spread.is_equal()) {
    for (int64_t t = 0; t < taps; ++t) da[t * stride] = 0;
    return;
  }
  double mean = 0;  // of dp, by p
  for (int64_t t = 0; t < taps; ++t) mean += static_cast<double>(p[t * stride]) * dp(t);
  // The gradient of A~.
  const auto scaled = [&](int64_t t) {
    return static_cast<double>(temperature) * static_cast<double>(p[t * stride]) * (dp(t) - mean);
  };
  double along = 0;  // of s: -sum scaled A / s^2
  for (int64_t t = 0; t < taps; ++t) along += scaled(t) * static_cast<double>(a[t * stride]);
  const double s = spread.deviation;
  const double slope = along / (static_cast<double>(taps - 1) * s * s * s);
  for (int64_t t = 0; t < taps; ++t) {
    da[t * stride] = static_cast<float>(scaled(t) / s - slope * (static_cast<double>(a[t * stride]) - spread.mean));
  }
}

// The tap that has more than half of the probability, or `taps` where none has.
constexpr int64_t KeptTap(int64_t taps, int64_t stride, const float* p) {
  int64_t kept = taps;
  for (int64_t t = 0; t < taps; ++t) {
    if (p[t * stride] > 0.5f) kept = t;
  }
  return kept;
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_TAP_PROBABILITIES_H_
