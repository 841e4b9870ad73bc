#include "bitgrad/ops/tap_probabilities.h"

#include <algorithm>
#include <cmath>

#include "bitgrad/ops/kernels/exponential.h"

namespace bitgrad {
namespace {

struct Spread {
  double mean;
  double deviation;  // unbiased; 0 where all are equal
};

// Of the numbers a[0], a[stride], ..
Spread SpreadOf(int64_t count, int64_t stride, const float* a) {
  double mean = 0;
  for (int64_t t = 0; t < count; ++t) mean += double{a[t * stride]};
  mean /= static_cast<double>(count);
  double squares = 0;
  for (int64_t t = 0; t < count; ++t) {
    const double distance = double{a[t * stride]} - mean;
    squares += distance * distance;
  }
  return {mean, std::sqrt(squares / static_cast<double>(count - 1))};
}

// Smaller ones are nothing beside the largest, and their products would be denormal numbers, which take convolutions a
// hundred times as long.
constexpr double kLeastProbability = 0x1p-64;

// Below, quotients would not be finite in float. What is left of equal numbers after rounding is far below it, too.
bool IsEqual(const Spread& spread) { return !(spread.deviation > 1e-30); }

}  // namespace

void TapProbabilities(int64_t taps, int64_t channels, const float* a, float temperature, float* p) {
  for (int64_t i = 0; i < channels; ++i) {
    const Spread spread = SpreadOf(taps, channels, a + i);
    if (IsEqual(spread)) {
      for (int64_t t = 0; t < taps; ++t) p[t * channels + i] = 1.0f / static_cast<float>(taps);
      continue;
    }
    float logits[kMaxTaps];
    const double factor = double{temperature} / spread.deviation;
    for (int64_t t = 0; t < taps; ++t) logits[t] = static_cast<float>(factor * double{a[t * channels + i]});
    const float largest = *std::max_element(logits, logits + taps);
    double sum = 0;
    for (int64_t t = 0; t < taps; ++t) {
      logits[t] = Exponential(logits[t] - largest);
      sum += double{logits[t]};
    }
    for (int64_t t = 0; t < taps; ++t) {
      const double share = double{logits[t]} / sum;
      p[t * channels + i] = share < kLeastProbability ? 0.0f : static_cast<float>(share);
    }
  }
}

void TapProbabilitiesBackward(int64_t taps, int64_t channels, const float* a, float temperature, const float* p,
                              const double* dp, float* da) {
  for (int64_t i = 0; i < channels; ++i) {
    const Spread spread = SpreadOf(taps, channels, a + i);
    if (IsEqual(spread)) {
      for (int64_t t = 0; t < taps; ++t) da[t * channels + i] = 0;
      continue;
    }
    double mean = 0;  // of dp, by p
    for (int64_t t = 0; t < taps; ++t) mean += double{p[t * channels + i]} * dp[t * channels + i];
    double scaled[kMaxTaps];  // the gradient of A~
    double along = 0;         // of s: -sum scaled A / s^2
    for (int64_t t = 0; t < taps; ++t) {
      scaled[t] = double{temperature} * double{p[t * channels + i]} * (dp[t * channels + i] - mean);
      along += scaled[t] * double{a[t * channels + i]};
    }
    const double s = spread.deviation;
    const double slope = along / (static_cast<double>(taps - 1) * s * s * s);
    for (int64_t t = 0; t < taps; ++t) {
      da[t * channels + i] = static_cast<float>(scaled[t] / s - slope * (double{a[t * channels + i]} - spread.mean));
    }
  }
}

void KeptTaps(int64_t taps, int64_t channels, const float* p, uint8_t* taps_of) {
  for (int64_t i = 0; i < channels; ++i) {
    taps_of[i] = static_cast<uint8_t>(taps);
    for (int64_t t = 0; t < taps; ++t) {
      if (p[t * channels + i] > 0.5f) taps_of[i] = static_cast<uint8_t>(t);
    }
  }
}

}  // namespace bitgrad
