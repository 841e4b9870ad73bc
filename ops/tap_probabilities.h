// The probabilities that attention gives to the taps of a kernel, and their gradient: the arithmetic of
// ops/tap_attention.h, in the host's memory.
//
//   A~ = A / s,  s = sqrt(sum_t (A_t - mean A)^2 / (n - 1))      over the n taps of a kernel; only divided, not centred
//   P  = softmax(T A~)
//
// Probabilities below 2^-64 are 0. Where all A of a kernel are equal, s is 0 and P is 1/n, with the gradient 0.
//
// Source: Hacene et al., "Attention Based Pruning for Shift Networks", arXiv 1905.12300.

#ifndef BITGRAD_OPS_TAP_PROBABILITIES_H_
#define BITGRAD_OPS_TAP_PROBABILITIES_H_

#include <cstdint>

namespace bitgrad {

// No kernel has more taps: 4 bits name one of them, or none.
inline constexpr int64_t kMaxTaps = 15;

// p[t, i] of a[t, i] and T = temperature, for the `channels` kernels i, of `taps` taps each. Sums are in double, in the
// order of the taps.   a, p [taps, channels]
void TapProbabilities(int64_t taps, int64_t channels, const float* a, float temperature, float* p);

// da[t, i] of dp[t, i], the gradient that arrives at p: through the softmax and the division by s.
void TapProbabilitiesBackward(int64_t taps, int64_t channels, const float* a, float temperature, const float* p,
                              const double* dp, float* da);

// Which tap of kernel i has more than half of the probability, or `taps` where none has.   taps_of [channels]
void KeptTaps(int64_t taps, int64_t channels, const float* p, uint8_t* taps_of);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_TAP_PROBABILITIES_H_
