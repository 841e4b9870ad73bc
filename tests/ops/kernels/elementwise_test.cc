#include "bitgrad/tests/reference/elementwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bitgrad/ops/kernels/exponential.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/ap2.h"

namespace bitgrad {
namespace {

using ElementwiseTest = KernelTest;

constexpr Unary kUnaries[] = {Unary::kRelu, Unary::kLeakyRelu, Unary::kHardtanh, Unary::kSigmoid, Unary::kTanh};

bool SavesOutput(Unary op) { return op == Unary::kSigmoid || op == Unary::kTanh; }

TEST_P(ElementwiseTest, UnaryForwardAndBackward) {
  Random random(1);
  const float slope = 0.25f;
  for (const Unary op : kUnaries) {
    for (const int64_t n : Counts()) {
      SCOPED_TRACE(testing::Message() << "op " << static_cast<int>(op) << ", " << n);
      const Array<float> x(*this, RandomVector(random, n, -4, 4)), dy(*this, RandomVector(random, n));
      const Array<float> in_place(*this, x.initial()), gradient_in_place(*this, dy.initial());
      const Array<float> y(*this, n), dx(*this, n);
      Run([&](ExecContext& c, const Kernels& k) {
        k.unary_forward(c, op, slope, x.on(c), y.on(c), n);
        k.unary_forward(c, op, slope, in_place.on(c), in_place.on(c), n);
        const float* const saved = SavesOutput(op) ? y.on(c) : x.on(c);
        k.unary_backward(c, op, slope, saved, dy.on(c), dx.on(c), n);
        k.unary_backward(c, op, slope, saved, gradient_in_place.on(c), gradient_in_place.on(c), n);
      });
      // The exponential is good to one unit in the last place; around it, up to four roundings.
      ExpectNear(
          y, n, [&](int64_t i) { return reference::UnaryValue(op, slope, x.initial(i)); },
          [&](int64_t i) {
            return 6 * kRoundingError * std::max(1.0, std::fabs(reference::UnaryValue(op, slope, x.initial(i))));
          });
      // 1 - y^2 cancels near 1: absolute in the derivative, which is at most 1.
      ExpectNear(
          dx, n, [&](int64_t i) { return dy.initial(i) * reference::UnaryDerivative(op, slope, x.initial(i)); },
          [&](int64_t i) { return 12 * kRoundingError * std::fabs(dy.initial(i)); });
      EXPECT_EQ(in_place.values(), y.values());
      EXPECT_EQ(gradient_in_place.values(), dx.values());
    }
  }
}

TEST_P(ElementwiseTest, UnaryAtBoundaries) {
  const std::vector<float> boundary = BoundaryValues();
  const int64_t n = static_cast<int64_t>(boundary.size());
  const Array<float> x(*this, boundary), dy(*this, std::vector<float>(n, 1.0f));
  for (const Unary op : kUnaries) {
    SCOPED_TRACE(static_cast<int>(op));
    const Array<float> y(*this, n), dx(*this, n);
    Run([&](ExecContext& c, const Kernels& k) {
      k.unary_forward(c, op, 0.5f, x.on(c), y.on(c), n);
      k.unary_backward(c, op, 0.5f, SavesOutput(op) ? y.on(c) : x.on(c), dy.on(c), dx.on(c), n);
    });
    const auto expected = [&](int64_t i) { return reference::UnaryValue(op, 0.5, boundary[i]); };
    ExpectNear(y, n, expected, [&](int64_t i) { return 6 * kRoundingError * std::fabs(expected(i)) + 1e-44; });
    const std::vector<float> gradient = dx.values();
    for (int64_t i = 0; i < n; ++i) {
      if (std::isnan(boundary[i])) continue;
      EXPECT_NEAR(gradient[i], reference::UnaryDerivative(op, 0.5, boundary[i]), 12 * kRoundingError)
          << "x " << boundary[i];
    }
  }
}

// Units in the last place of a float near y.
double Unit(double y) { return std::ldexp(1.0, std::max(std::ilogb(static_cast<float>(y)), -126) - 23); }

// The floats from -infinity to infinity, each in its turn, `step` apart.
std::vector<float> AllFloats(int64_t step) {
  constexpr int64_t kInfinity = 0x7f800000;
  std::vector<float> floats;
  for (int64_t i = -kInfinity; i <= kInfinity; i += step) {
    const auto bits = static_cast<uint32_t>(i < 0 ? -i : i) | (i < 0 ? 0x80000000u : 0u);
    floats.push_back(std::bit_cast<float>(bits));
  }
  return floats;
}

// Over the whole range, with denormals, infinities and NaN: near the formula in double, monotone, and the same bits
// from vectors, from a scalar function and on every device. (The bounds and the monotony were found by looking at every
// float.)
TEST_P(ElementwiseTest, ExponentialsOfTheWholeRange) {
  std::vector<float> values = AllFloats(GetParam().slow ? 99991 : 1999);
  for (const float bound : {88.72283f, 88.72284f, -87.33654f, -103.97f, -104.0f, 0.625f, 9.01f, 16.6f}) {
    for (const float x : {bound, std::nextafter(bound, -INFINITY), std::nextafter(bound, INFINITY)}) {
      values.insert(values.end(), {x, -x});
    }
  }
  std::sort(values.begin(), values.end());
  for (const float x : BoundaryValues()) {
    if (std::isnan(x)) values.push_back(x);
  }
  const auto n = static_cast<int64_t>(values.size());
  for (const float x : values) {
    const double e = std::exp(static_cast<double>(x));
    const float y = Exponential(x);
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(y));
    } else if (e >= 0x1.ffffffp127) {
      ASSERT_EQ(y, INFINITY) << x;
    } else {
      ASSERT_LE(std::fabs(y - e), Unit(e)) << x;
    }
  }
  const Array<float> x(*this, values);
  const auto check = [&](Unary op, double units, float (*function)(float)) {
    SCOPED_TRACE(static_cast<int>(op));
    const Array<float> y(*this, n);
    Run([&](ExecContext& c, const Kernels& k) { k.unary_forward(c, op, 0, x.on(c), y.on(c), n); });
    ExpectValues(y, [&](int64_t i) { return function(values[i]); });
    ExpectNear(
        y, n, [&](int64_t i) { return reference::UnaryValue(op, 0, values[i]); },
        [&](int64_t i) {
          const double right = reference::UnaryValue(op, 0, values[i]);
          // Below the least normal number sigmoid may be 0.
          return op == Unary::kSigmoid && right < 0x1p-126 ? 2.94e-39 : units * Unit(right);
        });
    const std::vector<float> found = y.values();
    for (int64_t i = 1; i < n; ++i) ASSERT_FALSE(found[i] < found[i - 1]) << "falls at " << values[i];
  };
  check(Unary::kSigmoid, 2.5, Sigmoid);
  check(Unary::kTanh, 1.5, HyperbolicTangent);
  EXPECT_TRUE(std::signbit(HyperbolicTangent(-0.0f)));
}

TEST_P(ElementwiseTest, BinaryWithStridesAndBroadcast) {
  Random random(2);
  for (const auto& [m, n] : Shapes()) {
    for (const bool broadcast : {false, true}) {
      for (const int64_t gap : {0, 3}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n << ", gap " << gap);
        const int64_t stride = n + gap, b_stride = broadcast ? 0 : stride;
        const Array<float> a(*this, RandomVector(random, m * stride)), b(*this, RandomVector(random, (m + 1) * stride));
        for (const Binary op : {Binary::kAdd, Binary::kSub, Binary::kMul}) {
          const Array<float> y(*this, m * stride), in_place(*this, a.initial());
          Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
            k.binary_forward(c, op, a.matrix(c, m, n, stride), b.matrix(c, m, n, b_stride), y.matrix(c, m, n, stride));
            k.binary_forward(c, op, in_place.matrix(c, m, n, stride), b.matrix(c, m, n, b_stride),
                             in_place.matrix(c, m, n, stride));
          });
          const auto expected = [&](int64_t i, int64_t j) {
            const float u = a.initial(i * stride + j), v = b.initial(i * b_stride + j);
            return op == Binary::kAdd ? u + v : op == Binary::kSub ? u - v : u * v;
          };
          ExpectMatrix(y, m, n, stride, expected);
          ExpectMatrix(in_place, m, n, stride, expected);
        }
      }
    }
  }
}

TEST_P(ElementwiseTest, RoundsToPowers) {
  Random random(5);
  for (const int64_t n : Counts()) {
    SCOPED_TRACE(n);
    std::vector<float> values = RandomVector(random, n);
    for (float& value : values) value = std::ldexp(value, static_cast<int>(random.Below(200)) - 100);
    const Array<float> x(*this, values), in_place(*this, values), y(*this, n + 3);
    Run([&](ExecContext& c, const Kernels& k) {
      k.round_to_powers(c, x.on(c), y.on(c), n);
      k.round_to_powers(c, in_place.on(c), in_place.on(c), n);
    });
    ExpectValues(y, n, [&](int64_t i) { return reference::Ap2(values[i]); });
    ExpectValues(in_place, [&](int64_t i) { return reference::Ap2(values[i]); });
  }
}

// By hand: the point of decision is sqrt(2) = 1.41421356 times a power, not 1.5.
TEST_P(ElementwiseTest, PowersOfKnownNumbers) {
  const float least = std::numeric_limits<float>::min(), infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {1.45f,    1.41421354f, 1.41421366f, 3.0f,  5.0f,  6.0f,  -0.7f, -0.71f,
                                     -1024.0f, 0.0f,        -0.0f,       1e-3f, least, 1e38f, 3e38f, -infinity};
  const std::vector<float> powers = {2.0f,     1.0f, 2.0f,  4.0f,     4.0f,  8.0f,     -0.5f,    -1.0f,
                                     -1024.0f, 0.0f, -0.0f, 0x1p-10f, least, 0x1p126f, infinity, -infinity};
  const Array<float> x(*this, values), y(*this, static_cast<int64_t>(values.size()));
  Run([&](ExecContext& c, const Kernels& k) { k.round_to_powers(c, x.on(c), y.on(c), x.count()); });
  ExpectValues(y, [&](int64_t i) { return powers[i]; });
}

TEST_P(ElementwiseTest, ScalesAndFills) {
  Random random(3);
  for (const int64_t n : Counts()) {
    SCOPED_TRACE(n);
    const Array<float> x(*this, RandomVector(random, n)), sum(*this, RandomVector(random, n)), y(*this, n);
    const Array<float> in_place(*this, x.initial()), sum_in_place(*this, x.initial());
    const Array<float> filled(*this, n + 3);
    Run([&](ExecContext& c, const Kernels& k) {
      k.scale_f32(c, 0.3f, x.on(c), /*accumulate=*/false, y.on(c), n);
      k.scale_f32(c, 0.3f, x.on(c), /*accumulate=*/true, sum.on(c), n);
      k.scale_f32(c, 0.3f, in_place.on(c), /*accumulate=*/false, in_place.on(c), n);
      k.scale_f32(c, 0.3f, sum_in_place.on(c), /*accumulate=*/true, sum_in_place.on(c), n);
      k.fill_f32(c, 0.7f, filled.on(c), n);
    });
    ExpectValues(y, [&](int64_t i) { return 0.3f * x.initial(i); });
    ExpectValues(sum, [&](int64_t i) { return 0.3f * x.initial(i) + sum.initial(i); });
    ExpectValues(in_place, [&](int64_t i) { return 0.3f * x.initial(i); });
    ExpectValues(sum_in_place, [&](int64_t i) { return 0.3f * x.initial(i) + x.initial(i); });
    ExpectValues(filled, n, [](int64_t) { return 0.7f; });
  }
}

// More bytes than a launch takes, too.
TEST_P(ElementwiseTest, WritesBytesOfTheHost) {
  Random random(21);
  for (const int64_t n : {0, 1, 33, 2047, 2048, 2049, 5000}) {
    SCOPED_TRACE(n);
    std::vector<uint8_t> values = RandomBytes(random, n);
    const std::vector<uint8_t> expected = values;
    const Array<uint8_t> y(*this, n + 3);
    for (const auto& context : contexts()) {
      GetParam().kernels->write_bytes(*context, values, y.on(*context));
    }
    // They have been read.
    std::fill(values.begin(), values.end(), uint8_t{0});
    Run([](ExecContext&, const Kernels&) {});
    ExpectValues(y, n, [&](int64_t i) { return expected[i]; });
  }
}

TEST_P(ElementwiseTest, ScalesRows) {
  Random random(4);
  for (const auto& [m, n] : Shapes()) {
    for (const int64_t scale_stride : {0, 1}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n << ", scales of stride " << scale_stride);
      const int64_t stride = n + 3;
      const Array<float> x(*this, RandomVector(random, m * stride)), y(*this, m * (n + 5));
      const Array<float> scale(*this, RandomVector(random, m + 1)), in_place(*this, x.initial());
      Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        const ScaleView view(0.3f, scale.on(c), scale_stride);
        k.scale_rows(c, view, x.matrix(c, m, n, stride), y.matrix(c, m, n, n + 5));
        k.scale_rows(c, view, in_place.matrix(c, m, n, stride), in_place.matrix(c, m, n, stride));
      });
      const auto expected = [&](int64_t i, int64_t j) {
        return x.initial(i * stride + j) * (0.3f * scale.initial(i * scale_stride));
      };
      ExpectMatrix(y, m, n, n + 5, expected);
      ExpectMatrix(in_place, m, n, stride, expected);
    }
  }
}

TEST_P(ElementwiseTest, ScalesColumns) {
  Random random(6);
  for (const auto& [m, n] : Shapes()) {
    for (const int64_t gap : {0, 5}) {
      // From one output's number to the next: one number for all, one for each, and every second one.
      for (const int64_t step : {0, 1, 2}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n << ", gap " << gap << ", stride " << step);
        const int64_t stride = n + gap;
        const Array<float> x(*this, RandomVector(random, m * stride)), y(*this, m * stride);
        const Array<float> in_place(*this, x.initial()), constant(*this, m * stride);
        const Array<float> values(*this, RandomVector(random, n * step + 1));
        Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          const ScaleView scale(0.3f, values.on(c), step);
          k.scale_columns(c, scale, x.matrix(c, m, n, stride), y.matrix(c, m, n, stride));
          k.scale_columns(c, scale, in_place.matrix(c, m, n, stride), in_place.matrix(c, m, n, stride));
          k.scale_columns(c, 0.7f, x.matrix(c, m, n, stride), constant.matrix(c, m, n, stride));
        });
        const auto scaled = [&](int64_t i, int64_t j) {
          return x.initial(i * stride + j) * (0.3f * values.initial(j * step));
        };
        ExpectMatrix(y, m, n, stride, scaled);
        ExpectMatrix(in_place, m, n, stride, scaled);
        ExpectMatrix(constant, m, n, stride, [&](int64_t i, int64_t j) { return x.initial(i * stride + j) * 0.7f; });
      }
    }
  }
}

TEST_P(ElementwiseTest, Copies) {
  Random random(5);
  for (const auto& [m, n] : Shapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const Array<float> x(*this, HardVector(random, m * (n + 2))), y(*this, m * (n + 7));
    Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.copy_matrix(c, x.matrix(c, m, n, n + 2), y.matrix(c, m, n, n + 7));
    });
    ExpectMatrix(y, m, n, n + 7, [&, n = n](int64_t i, int64_t j) { return x.initial(i * (n + 2) + j); });
  }
}

TEST_P(ElementwiseTest, DropoutFollowsTheStream) {
  Random random(4);
  const RngStream rng{.seed = 0x123456789abcdef, .purpose = RngPurpose::kDropout, .step = 3, .stream = 9};
  const float keep = 0.7f;
  for (const int64_t n : Counts()) {
    SCOPED_TRACE(n);
    const Array<float> x(*this, RandomVector(random, n)), y(*this, n + 1);
    const Array<float> in_place(*this, x.initial()), kept(*this, x.initial());
    Run([&](ExecContext& c, const Kernels& k) {
      k.dropout(c, keep, keep, rng, x.on(c), y.on(c), n);
      k.dropout(c, keep, 1.0f, rng, in_place.on(c), in_place.on(c), n);
      k.dropout(c, 1.0f, 1.0f, rng, kept.on(c), kept.on(c), n);
    });
    const auto is_kept = [&](int64_t i) { return Uniform(rng, i) < keep; };
    ExpectValues(y, n, [&](int64_t i) { return is_kept(i) ? x.initial(i) / keep : 0.0f; });
    ExpectValues(in_place, [&](int64_t i) { return is_kept(i) ? x.initial(i) : 0.0f; });
    ExpectValues(kept, [&](int64_t i) { return x.initial(i); });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(ElementwiseTest);

}  // namespace
}  // namespace bitgrad
