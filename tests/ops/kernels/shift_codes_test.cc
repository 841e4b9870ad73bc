#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

// The stored code of a number in units of 2^-shift, by the definition.
int64_t StoredOf(const ShiftRange& range, int64_t v, int shift) {
  const double rounded = std::floor(std::ldexp(static_cast<double>(v), -shift) + 0.5);
  return static_cast<int64_t>(std::clamp<double>(rounded, range.least, range.most)) - range.least;
}
int64_t Shifted(int64_t v, int left) { return static_cast<int64_t>(std::floor(std::ldexp(v, left) + 0.5)); }

constexpr ShiftRange kRanges[] = {{-128, 127}, {0, 255}, {-8, 7}, {0, 15}};

using ShiftCodesTest = KernelTest;

TEST_P(ShiftCodesTest, AddsAndRounds) {
  Random random(1);
  int turn = 0;
  for (const int64_t n : Counts()) {
    for (const int shift : {-3, 0, 2, 9}) {
      const ShiftRange range = kRanges[turn % 4];
      const int left[] = {turn % 3 * 4 - 4, turn % 5 - 2};
      ++turn;
      SCOPED_TRACE(testing::Message() << n << ", shift " << shift << ", left " << left[0] << " " << left[1]);
      const Array<uint8_t> a(*this, RandomBytes(random, n)), b(*this, RandomBytes(random, n)), y(*this, n + 2);
      Run([&](ExecContext& c, const Kernels& k) {
        k.shift_add(c, {a.on(c), -128, left[0]}, {b.on(c), 0, left[1]}, shift, range, y.on(c), n);
      });
      ExpectValues(y, n, [&](int64_t i) {
        return StoredOf(range, Shifted(a.initial(i) - 128, left[0]) + Shifted(b.initial(i), left[1]), shift);
      });
    }
  }
}

TEST_P(ShiftCodesTest, ShiftsCodesIntoColumns) {
  Random random(2);
  int turn = 0;
  for (const auto& [m, n] : Shapes()) {
    const ShiftRange range = kRanges[turn % 4];
    const int shift = turn % 7 - 3;
    ++turn;
    SCOPED_TRACE(testing::Message() << m << " x " << n << ", shift " << shift);
    for (const int64_t gap : {0, 3}) {
      const int64_t x_stride = n + gap, y_stride = n + 2 * gap;
      const Array<uint8_t> x(*this, RandomBytes(random, m * x_stride)), y(*this, m * y_stride);
      Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        k.shift_codes(c, x.matrix(c, m, n, x_stride), -128, shift, range, y.matrix(c, m, n, y_stride));
      });
      ExpectMatrix(y, m, n, y_stride,
                   [&](int64_t i, int64_t j) { return StoredOf(range, x.initial(i * x_stride + j) - 128, shift); });
    }
  }
}

TEST_P(ShiftCodesTest, AveragesWindows) {
  Random random(3);
  int turn = 0;
  for (const int64_t channels : {1, 3, 32, 65}) {
    for (const auto& [kernel, stride] : std::vector<std::pair<int64_t, int64_t>>{{2, 2}, {3, 1}, {4, 3}}) {
      const PoolGeometry g = {.batch = 3,
                              .height = 7,
                              .width = 9,
                              .channels = channels,
                              .kernel_height = kernel,
                              .kernel_width = kernel - 1,
                              .stride_height = stride,
                              .stride_width = stride};
      const ShiftRange range = kRanges[turn++ % 4];
      SCOPED_TRACE(testing::Message() << channels << " channels, kernel " << kernel);
      const int64_t count = g.pixels() * channels;
      const Array<uint8_t> x(*this, RandomBytes(random, g.batch * g.height * g.width * channels)), y(*this, count);
      Run([&](ExecContext& c, const Kernels& k) { k.shift_average(c, g, x.on(c), -128, 2, range, y.on(c)); });
      ExpectValues(y, [&](int64_t i) {
        const int64_t window = i / channels, q = window % g.out_width(), p = window / g.out_width() % g.out_height();
        const int64_t image = window / g.out_width() / g.out_height();
        int64_t sum = 0;
        for (int64_t r = 0; r < g.kernel_height; ++r) {
          for (int64_t s = 0; s < g.kernel_width; ++s) {
            const int64_t pixel = (image * g.height + p * stride + r) * g.width + q * stride + s;
            sum += x.initial(pixel * channels + i % channels) - 128;
          }
        }
        return StoredOf(range, sum, 2);
      });
    }
  }
}

TEST_P(ShiftCodesTest, RoundsFloatsToCodes) {
  Random random(4);
  int turn = 0;
  for (const int64_t rows : {0, 1, 33, 1000}) {
    for (const int64_t channels : {1, 3}) {
      for (const bool normalizes : {false, true}) {
        const ShiftRange range = kRanges[turn++ % 4];
        SCOPED_TRACE(testing::Message() << rows << " x " << channels << (normalizes ? ", normalizes" : ""));
        const int64_t n = rows * channels;
        std::vector<float> values = HardVector(random, n);
        for (size_t i = 0; i < values.size(); i += 3) values[i] = std::floor(8 * values[i]) / 8;  // ties
        const Array<float> x(*this, values), mean(*this, RandomVector(random, channels, -1, 1));
        const Array<float> inv_std(*this, RandomVector(random, channels, 0.5, 2));
        const Array<uint8_t> y(*this, n + 3);
        Run([&](ExecContext& c, const Kernels& k) {
          const FixedPointScale scale = {.factor = 4,
                                         .channels = channels,
                                         .mean = normalizes ? mean.on(c) : nullptr,
                                         .inv_std = normalizes ? inv_std.on(c) : nullptr};
          k.fixed_point_codes(c, scale, range, x.on(c), y.on(c), n);
        });
        ExpectValues(y, n, [&](int64_t i) -> int64_t {
          float v = values[i];
          if (normalizes) v = (v - mean.initial(i % channels)) * inv_std.initial(i % channels);
          if (std::isnan(v)) return 0;
          const double down = std::floor(4.0 * v), rest = 4.0 * v - down;
          const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(down, 2) != 0);
          return static_cast<int64_t>(std::clamp<double>(down + (up ? 1 : 0), range.least, range.most)) - range.least;
        });
      }
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(ShiftCodesTest);

}  // namespace
}  // namespace bitgrad
