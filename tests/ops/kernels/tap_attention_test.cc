#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <vector>

#include "bitgrad/ops/kernels/tap_probabilities.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {

std::ostream& operator<<(std::ostream& out, const TapExtents& e) {
  return out << "[" << e.filters << ", " << e.taps << ", " << e.channels << "]";
}

namespace {

// P of the taps of one kernel, in double, and its deviation.
struct Attended {
  std::vector<double> p;
  double deviation;
};
Attended AttendedOf(const std::vector<double>& a, double temperature) {
  const auto n = static_cast<double>(a.size());
  double mean = 0, squares = 0, sum = 0;
  for (const double v : a) mean += v / n;
  for (const double v : a) squares += (v - mean) * (v - mean);
  Attended result = {{}, std::sqrt(squares / (n - 1))};
  const double largest = *std::max_element(a.begin(), a.end());
  for (const double v : a) result.p.push_back(std::exp(temperature * (v - largest) / result.deviation));
  for (const double v : result.p) sum += v;
  for (double& v : result.p) v /= sum;
  return result;
}

class TapAttentionKernelTest : public KernelTest {
 protected:
  static const std::vector<TapExtents>& AllExtents() {
    static const std::vector<TapExtents> all = {{1, 2, 1}, {3, 4, 5}, {7, 9, 33}, {40, 9, 3}, {2, 15, 64}, {300, 9, 2}};
    return all;
  }
  static std::vector<double> Column(const std::vector<float>& x, const TapExtents& e, int64_t o, int64_t i) {
    std::vector<double> column;
    for (int64_t t = 0; t < e.taps; ++t) column.push_back(x[(o * e.taps + t) * e.channels + i]);
    return column;
  }
};

TEST_P(TapAttentionKernelTest, ProbabilitiesAndKeptTaps) {
  Random random(1);
  for (const TapExtents& e : AllExtents()) {
    for (const float temperature : {0.15f, 4.0f, 70.0f}) {
      SCOPED_TRACE(testing::Message() << e << ", T = " << temperature);
      std::vector<float> values = RandomVector(random, e.size(), 0, 1);
      // In the first kernel all taps are alike.
      for (int64_t t = 0; t < e.taps; ++t) values[t * e.channels] = 0.3f;
      const Array<float> a(*this, values), t(*this, std::vector<float>{temperature}), p(*this, e.size());
      const Array<uint8_t> kept(*this, e.filters * e.channels);
      Run([&](ExecContext& c, const Kernels& k) {
        k.tap_probabilities(c, e, a.on(c), t.on(c), p.on(c));
        k.kept_taps(c, e, p.on(c), kept.on(c));
      });
      std::vector<double> expected(static_cast<size_t>(e.size()));
      for (int64_t o = 0; o < e.filters; ++o) {
        for (int64_t i = 0; i < e.channels; ++i) {
          const bool alike = o == 0 && i == 0;
          const Attended attended = AttendedOf(Column(values, e, o, i), temperature);
          for (int64_t tap = 0; tap < e.taps; ++tap) {
            expected[(o * e.taps + tap) * e.channels + i] =
                alike ? 1 / static_cast<double>(e.taps) : attended.p[static_cast<size_t>(tap)];
          }
        }
      }
      // Logits are within a rounding of theirs, of up to T (n - 1) / sqrt(n) < 4 T.
      ExpectNear(
          p, e.size(), [&](int64_t j) { return expected[j]; },
          [&](int64_t) { return (8 + 8 * temperature) * kRoundingError; });
      const std::vector<float> found = p.values();
      ExpectValues(kept, [&](int64_t k) {
        int64_t tap = e.taps;
        for (int64_t s = 0; s < e.taps; ++s) {
          if (found[(k / e.channels * e.taps + s) * e.channels + k % e.channels] > 0.5f) tap = s;
        }
        return tap;
      });
    }
  }
}

// Central differences of sum dP P(A), in double.
TEST_P(TapAttentionKernelTest, GradientIsThatOfTheFormula) {
  Random random(2);
  for (const TapExtents& e : AllExtents()) {
    for (const bool shared : {false, true}) {
      SCOPED_TRACE(testing::Message() << e << (shared ? ", shared" : ""));
      const TapExtents chosen = {shared ? 1 : e.filters, e.taps, e.channels};
      constexpr float kTemperature = 1.5f;
      const Array<float> w(*this, RandomVector(random, e.size())), dy(*this, RandomVector(random, e.size()));
      const Array<float> a(*this, RandomVector(random, chosen.size(), 0, 1)),
          t(*this, std::vector<float>{kTemperature});
      const Array<float> p(*this, chosen.size()), da(*this, chosen.size());
      Run([&](ExecContext& c, const Kernels& k) {
        k.tap_probabilities(c, chosen, a.on(c), t.on(c), p.on(c));
        k.tap_attention_backward(c, e, shared, w.on(c), dy.on(c), a.on(c), t.on(c), p.on(c), da.on(c));
      });
      std::vector<double> dp(static_cast<size_t>(chosen.size()), 0), expected(dp.size()), tolerance(dp.size());
      for (int64_t j = 0; j < e.size(); ++j) dp[j % chosen.size()] += double{w.initial(j)} * dy.initial(j);
      for (int64_t o = 0; o < chosen.filters; ++o) {
        for (int64_t i = 0; i < e.channels; ++i) {
          const std::vector<double> column = Column(a.initial(), chosen, o, i);
          const auto at = [&](int64_t tap) { return (o * e.taps + tap) * e.channels + i; };
          double size = 0;
          for (int64_t tap = 0; tap < e.taps; ++tap) size += std::fabs(dp[at(tap)]);
          for (int64_t tap = 0; tap < e.taps; ++tap) {
            constexpr double kStep = 1e-6;
            double difference = 0;
            for (const double sign : {1.0, -1.0}) {
              std::vector<double> moved = column;
              moved[static_cast<size_t>(tap)] += sign * kStep;
              const Attended attended = AttendedOf(moved, kTemperature);
              for (int64_t s = 0; s < e.taps; ++s) difference += sign * dp[at(s)] * attended.p[static_cast<size_t>(s)];
            }
            expected[at(tap)] = difference / (2 * kStep);
            // P has the roundings of a few floats, and is multiplied by T / s and what follows from it.
            const double factor = kTemperature / AttendedOf(column, kTemperature).deviation;
            tolerance[at(tap)] = (64 * kRoundingError * (factor + factor * factor) + 1e-8 * factor * factor) * size;
          }
        }
      }
      ExpectNear(
          da, chosen.size(), [&](int64_t j) { return expected[j]; }, [&](int64_t j) { return tolerance[j]; });
    }
  }
}

TEST_P(TapAttentionKernelTest, KeepsOneTapOrNone) {
  Random random(3);
  for (const TapExtents& e : AllExtents()) {
    for (const bool shared : {false, true}) {
      for (const bool spreads : {false, true}) {
        SCOPED_TRACE(testing::Message() << e << (shared ? ", shared" : "") << (spreads ? ", spreads" : ""));
        const int64_t count = e.size(), x_row = spreads ? e.channels : e.filter_size(), x_size = e.filters * x_row;
        const Array<uint8_t> kept(*this, RandomBytes(random, shared ? e.channels : e.filters * e.channels,
                                                     static_cast<uint32_t>(e.taps + 1)));
        const Array<float> x(*this, RandomVector(random, x_size)), dy(*this, RandomVector(random, count));
        const Array<float> y(*this, count), dx(*this, x_size);
        const int64_t stride = x_row + 3;
        const Array<uint8_t> codes(*this, RandomBytes(random, e.filters * stride, 100));
        const Array<uint8_t> of_codes(*this, count), of_bits(*this, count);
        const BitArray bits = BitArray::OfRandomBits(*this, random, e.filters, x_row);
        const CodesWithZero map = {.factor = 2, .offset = 1, .zero = 77};
        Run([&](ExecContext& c, const Kernels& k) {
          const TapSelection selection = {.extents = e, .kept = kept.on(c), .shared = shared, .spreads = spreads};
          k.keep_taps(c, selection, x.on(c), y.on(c));
          k.keep_taps_backward(c, selection, dy.on(c), dx.on(c));
          k.keep_tap_codes(c, selection, map, codes.matrix(c, e.filters, x_row, stride), {}, of_codes.on(c));
          k.keep_tap_codes(c, selection, map, {}, bits.on(c), of_bits.on(c));
        });
        const auto kept_of = [&](int64_t o, int64_t i) {
          return int64_t{kept.initial((shared ? 0 : o * e.channels) + i)};
        };
        // Calls f(filter, index in a row of x) for an element of y that is kept, or gives `other`.
        const auto element = [&](int64_t j, auto other, const auto& f) {
          const int64_t o = j / e.filter_size(), t = j / e.channels % e.taps, i = j % e.channels;
          return kept_of(o, i) == t ? f(o, spreads ? i : t * e.channels + i) : other;
        };
        ExpectValues(y, [&](int64_t j) {
          return element(j, 0.0f, [&](int64_t o, int64_t at) { return x.initial(o * x_row + at); });
        });
        ExpectValues(of_codes, [&](int64_t j) {
          return element(j, 77, [&](int64_t o, int64_t at) { return 2 * codes.initial(o * stride + at) + 1; });
        });
        ExpectValues(of_bits, [&](int64_t j) {
          return element(j, 77, [&](int64_t o, int64_t at) { return bits.initial(o, at) ? 3 : 1; });
        });
        ExpectValues(dx, [&](int64_t j) {
          const int64_t o = j / x_row, t = j % x_row / e.channels, i = j % e.channels, tap = kept_of(o, i);
          const bool has = spreads ? tap < e.taps : tap == t;
          return has ? dy.initial((o * e.taps + tap) * e.channels + i) : 0.0f;
        });
      }
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(TapAttentionKernelTest);

}  // namespace
}  // namespace bitgrad
