#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/elementwise.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ElementwiseTest = CpuKernelTest;

constexpr Unary kUnaries[] = {Unary::kRelu, Unary::kLeakyRelu, Unary::kHardtanh, Unary::kSigmoid, Unary::kTanh};

bool SavesOutput(Unary op) { return op == Unary::kSigmoid || op == Unary::kTanh; }

TEST_P(ElementwiseTest, UnaryForwardAndBackward) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  const float slope = 0.25f;
  for (Unary op : kUnaries) {
    for (int64_t count : VectorSizes()) {
      SCOPED_TRACE(testing::Message() << "op " << static_cast<int>(op) << ", count " << count);
      const auto x = RandomVector(random, count, -4, 4);
      const auto dy = RandomVector(random, count);
      const std::vector<float> y = OnOneAndTwoThreads([&](ExecContext& context) {
        std::vector<float> y(count);
        kernels_.unary_forward(context, op, slope, x.data(), y.data(), count);
        return y;
      });
      const std::vector<float>& saved = SavesOutput(op) ? y : x;
      const std::vector<float> dx = OnOneAndTwoThreads([&](ExecContext& context) {
        std::vector<float> dx(count);
        kernels_.unary_backward(context, op, slope, saved.data(), dy.data(), dx.data(), count);
        return dx;
      });
      // exp and tanh of the C library have an error of one unit in the last place; up to four roundings are added.
      ExpectNear(
          count, [&](int64_t i) { return y[i]; }, [&](int64_t i) { return reference::UnaryValue(op, slope, x[i]); },
          [&](int64_t i) { return 6 * kEpsilon * std::max(1.0f, std::fabs(y[i])); });
      // 1 - y^2 cancels near 1, so the error is relative to 1, the largest derivative.
      ExpectNear(
          count, [&](int64_t i) { return dx[i]; },
          [&](int64_t i) { return dy[i] * reference::UnaryDerivative(op, slope, x[i]); },
          [&](int64_t i) { return 12 * kEpsilon * std::fabs(dy[i]); });
      auto in_place = x;
      kernels_.unary_forward(one_, op, slope, in_place.data(), in_place.data(), count);
      EXPECT_EQ(BytesOf(in_place), BytesOf(y));
      in_place = dy;
      kernels_.unary_backward(one_, op, slope, saved.data(), in_place.data(), in_place.data(), count);
      EXPECT_EQ(BytesOf(in_place), BytesOf(dx));
    }
  }
}

TEST_P(ElementwiseTest, UnaryAtBoundaries) {
  const std::vector<float> x = BoundaryValues();
  const int64_t count = static_cast<int64_t>(x.size());
  const std::vector<float> dy(count, 1.0f);
  for (Unary op : kUnaries) {
    std::vector<float> y(count), dx(count);
    kernels_.unary_forward(one_, op, 0.5f, x.data(), y.data(), count);
    kernels_.unary_backward(one_, op, 0.5f, SavesOutput(op) ? y.data() : x.data(), dy.data(), dx.data(), count);
    for (int64_t i = 0; i < count; ++i) {
      SCOPED_TRACE(testing::Message() << "op " << static_cast<int>(op) << ", x " << x[i]);
      EXPECT_EQ(std::isnan(y[i]), std::isnan(x[i]));
      if (std::isnan(x[i])) continue;
      const double expected = reference::UnaryValue(op, 0.5, x[i]);
      if (std::isinf(expected)) {
        EXPECT_EQ(y[i], expected);
      } else {
        EXPECT_NEAR(y[i], expected, 6 * kEpsilon * std::fabs(expected) + 1e-44);
      }
      EXPECT_NEAR(dx[i], reference::UnaryDerivative(op, 0.5, x[i]), 12 * kEpsilon);
    }
  }
}

TEST_P(ElementwiseTest, BinaryWithStridesAndBroadcast) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    for (bool broadcast : {false, true}) {
      for (int64_t gap : {0, 3}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n << ", gap " << gap);
        const auto a = RandomFloats(random, m, n, gap);
        const auto b = RandomFloats(random, m + 1, n, gap);
        const ConstMatrixView<float> b_view(b.view().data, m, n, broadcast ? 0 : n + gap);
        for (Binary op : {Binary::kAdd, Binary::kSub, Binary::kMul}) {
          const auto values = OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
            TestMatrix<float> y(m, n, gap);
            kernels_.binary_forward(context, op, a.view(), b_view, y.view());
            y.ExpectGapsUntouched();
            return y.values();
          });
          auto in_place = a;
          kernels_.binary_forward(two_, op, in_place.view(), b_view, in_place.view());
          const auto expected = [&](int64_t i, int64_t j) {
            const float u = a.at(i, j), v = b_view.at(i, j);
            return op == Binary::kAdd ? u + v : op == Binary::kSub ? u - v : u * v;
          };
          ExpectSame(
              m, n, [&, n = n](int64_t i, int64_t j) { return values[i * (n + gap) + j]; }, expected);
          ExpectSame(
              m, n, [&](int64_t i, int64_t j) { return in_place.at(i, j); }, expected);
        }
      }
    }
  }
}

TEST_P(ElementwiseTest, ScaleFillCopy) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  for (int64_t count : VectorSizes()) {
    SCOPED_TRACE(count);
    const auto x = RandomVector(random, count);
    const auto before = RandomVector(random, count);
    for (bool accumulate : {false, true}) {
      const auto y = OnOneAndTwoThreads([&](ExecContext& context) {
        auto y = accumulate ? before : std::vector<float>(count, NAN);
        kernels_.scale_f32(context, 0.3f, x.data(), accumulate, y.data(), count);
        return y;
      });
      auto in_place = x;
      kernels_.scale_f32(two_, 0.3f, in_place.data(), accumulate, in_place.data(), count);
      const auto expected = [&](int64_t, int64_t i) { return accumulate ? 0.3f * x[i] + before[i] : 0.3f * x[i]; };
      const auto expected_in_place = [&](int64_t, int64_t i) { return accumulate ? 0.3f * x[i] + x[i] : 0.3f * x[i]; };
      ExpectSame(
          1, count, [&](int64_t, int64_t i) { return y[i]; }, expected);
      ExpectSame(
          1, count, [&](int64_t, int64_t i) { return in_place[i]; }, expected_in_place);
    }
    const auto scaled = OnOneAndTwoThreads([&](ExecContext& context) {
      auto y = x;
      const float factor = -1.7f;
      kernels_.scale_by_f32(context, 0.3f, &factor, y.data(), count);
      return y;
    });
    ExpectSame(
        1, count, [&](int64_t, int64_t i) { return scaled[i]; },
        [&](int64_t, int64_t i) { return (0.3f * -1.7f) * x[i]; });
    const auto filled = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> y(count, NAN);
      kernels_.fill_f32(context, 7.5f, y.data(), count);
      return y;
    });
    EXPECT_EQ(filled, std::vector<float>(count, 7.5f));
  }
  for (const auto& [m, n] : MatrixShapes()) {
    const auto x = HardFloats(random, m, n, 2);
    OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      TestMatrix<float> y(m, n, 7);
      kernels_.copy_matrix(context, x.view(), y.view());
      y.ExpectGapsUntouched();
      ExpectSame(
          m, n, [&](int64_t i, int64_t j) { return y.at(i, j); }, [&](int64_t i, int64_t j) { return x.at(i, j); });
      return y.values();
    });
  }
}

TEST_P(ElementwiseTest, RandomKernelsFollowTheStream) {
  Random random(4);
  BITGRAD_TRACE_SEED(random);
  const RngStream rng{.seed = 5, .purpose = RngPurpose::kDropout, .step = 3, .stream = 9};
  for (int64_t count : VectorSizes()) {
    SCOPED_TRACE(count);
    const auto noise = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> y(count);
      kernels_.fill_uniform(context, rng, -0.3f, 0.8f, y.data(), count);
      return y;
    });
    const auto x = RandomVector(random, count);
    const float keep = 0.7f;
    const auto y = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> y(count);
      kernels_.dropout(context, keep, rng, x.data(), y.data(), count);
      return y;
    });
    auto in_place = x;
    kernels_.dropout(two_, keep, rng, in_place.data(), in_place.data(), count);
    EXPECT_EQ(BytesOf(in_place), BytesOf(y));
    auto kept = x;
    kernels_.dropout(one_, 1.0f, rng, kept.data(), kept.data(), count);
    EXPECT_EQ(kept, x);
    ExpectSame(
        1, count, [&](int64_t, int64_t i) { return noise[i]; },
        [&](int64_t, int64_t i) { return -0.3f + (0.8f - -0.3f) * Uniform(rng, i); });
    ExpectSame(
        1, count, [&](int64_t, int64_t i) { return y[i]; },
        [&](int64_t, int64_t i) { return Uniform(rng, i) < keep ? x[i] / keep : 0.0f; });
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(ElementwiseTest);

}  // namespace
}  // namespace bitgrad
