#include "bitgrad/ops/kernels/batch_norm.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/batch_norm.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using BatchNormTest = CpuKernelTest;

constexpr EpsilonPlacement kPlacements[] = {EpsilonPlacement::kInsideRoot, EpsilonPlacement::kOutsideRoot};

TEST_P(BatchNormTest, TrainForward) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  const float epsilon = 1e-4f;
  for (const auto& [m, n] : MatrixShapes()) {
    if (m == 0) continue;
    for (EpsilonPlacement placement : kPlacements) {
      SCOPED_TRACE(testing::Message() << m << " x " << n);
      const auto x = RandomFloats(random, m, n, 3, -1, 5);
      const auto gamma = RandomVector(random, n);
      const auto beta = RandomVector(random, n);
      std::vector<float> mean(n), variance(n), inv_std(n);
      const auto y = OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
        TestMatrix<float> y(m, n, 2);
        kernels_.batch_norm_statistics(context, x.view(), epsilon, placement, mean.data(), variance.data(),
                                       inv_std.data());
        kernels_.batch_norm_eval(context, x.view(), mean.data(), inv_std.data(), gamma.data(), beta.data(), y.view());
        y.ExpectGapsUntouched();
        return y.values();
      });
      auto in_place = x;
      kernels_.batch_norm_eval(two_, in_place.view(), mean.data(), inv_std.data(), gamma.data(), beta.data(),
                               in_place.view());
      for (int64_t j = 0; j < n; ++j) {
        const reference::Moments expected = reference::ColumnMoments(x.view(), j);
        // Computed in double, with one rounding at the end; |x| <= 5, so squares are below 100.
        ASSERT_NEAR(mean[j], expected.mean, kEpsilon * std::fabs(expected.mean) + m * 5 * 0x1p-52);
        ASSERT_NEAR(variance[j], expected.variance, kEpsilon * expected.variance + m * 100 * 0x1p-52);
        ASSERT_EQ(inv_std[j], InverseStd(variance[j], epsilon, placement));
        ASSERT_NEAR(inv_std[j], reference::InverseStd(variance[j], epsilon, placement), 4 * kEpsilon * inv_std[j]);
        for (int64_t i = 0; i < m; ++i) {
          // Equal to the last bit, because thresholds are folded from this expression.
          const float value = NormalizedValue(x.at(i, j), mean[j], inv_std[j], gamma[j], beta[j]);
          ASSERT_TRUE(SameBits(y[i * (n + 2) + j], value)) << i << ", " << j;
          ASSERT_TRUE(SameBits(in_place.at(i, j), value)) << i << ", " << j;
        }
      }
    }
  }
}

// The same as normalizing first and packing then, NaN and the edges of the window included.
TEST_P(BatchNormTest, SignsAreThoseOfTheNormalizedValues) {
  Random random(4);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    auto x = HardFloats(random, m, n, 3);
    auto gamma = RandomVector(random, n), beta = RandomVector(random, n);
    auto mean = RandomVector(random, n), inv_std = RandomVector(random, n, 0.1f, 2);
    // Some columns leave x unchanged.
    for (int64_t j = 0; j < n; j += 3) gamma[j] = inv_std[j] = 1, beta[j] = mean[j] = 0;
    for (ExecContext* context : {&one_, &two_}) {
      for (bool with_window : {false, true}) {
        BitMatrix bits = GarbageBits(m, n), window = GarbageBits(m, n);
        kernels_.batch_norm_signs(*context, x.view(), mean.data(), inv_std.data(), gamma.data(), beta.data(),
                                  bits.mutable_view(), with_window ? window.mutable_view() : BitMatrixView{});
        const auto y = [&](int64_t i, int64_t j) {
          return NormalizedValue(x.at(i, j), mean[j], inv_std[j], gamma[j], beta[j]);
        };
        ExpectBits(bits, [&](int64_t i, int64_t j) { return y(i, j) >= 0; });
        if (with_window) ExpectBits(window, [&](int64_t i, int64_t j) { return std::fabs(y(i, j)) <= 1; });
      }
    }
  }
}

// A large mean against a small deviation: sums of squares would cancel.
TEST_P(BatchNormTest, VarianceSurvivesALargeMean) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  const int64_t m = 129, n = 33;
  const auto x = RandomFloats(random, m, n, 0, 1e6f, 1e6f + 8);
  std::vector<float> mean(n), variance(n), inv_std(n);
  kernels_.batch_norm_statistics(one_, x.view(), 1e-4f, EpsilonPlacement::kInsideRoot, mean.data(), variance.data(),
                                 inv_std.data());
  for (int64_t j = 0; j < n; ++j) {
    // The reference's own error: m roundings of a mean of 1e6, squared away; deviations are below 8.
    ASSERT_NEAR(variance[j], reference::ColumnMoments(x.view(), j).variance, 1e-6);
  }
}

TEST_P(BatchNormTest, ConstantColumnHasVarianceZero) {
  const std::vector<float> x(100, 0.1f), one(1, 1.0f), zero(1, 0.5f);
  float mean, variance, inv_std;
  std::vector<float> y(100);
  kernels_.batch_norm_statistics(one_, {x.data(), 100, 1}, 1e-4f, EpsilonPlacement::kOutsideRoot, &mean, &variance,
                                 &inv_std);
  kernels_.batch_norm_eval(one_, {x.data(), 100, 1}, &mean, &inv_std, one.data(), zero.data(), {y.data(), 100, 1});
  EXPECT_EQ(mean, 0.1f);
  EXPECT_EQ(variance, 0.0f);
  EXPECT_EQ(y, std::vector<float>(100, 0.5f));
  // No infinity times zero in the gradient.
  std::vector<float> dx(100), dy(100, 1.0f);
  float dgamma, dbeta;
  kernels_.batch_norm_train_backward(one_, {x.data(), 100, 1}, {dy.data(), 100, 1}, one.data(), &mean, &variance,
                                     &inv_std, EpsilonPlacement::kOutsideRoot, {dx.data(), 100, 1}, &dgamma, &dbeta);
  EXPECT_EQ(dx, std::vector<float>(100, 0.0f));
  EXPECT_EQ(dgamma, 0.0f);
  EXPECT_EQ(dbeta, 100.0f);
}

// The root has no slope at 0: no gradient flows through a variance of 0.
TEST_P(BatchNormTest, VarianceOfZeroPassesNoGradient) {
  const std::vector<float> x = {1, 2}, dy = {3, 1};
  const float gamma = 2, mean = 0, variance = 0, inv_std = 5;
  std::vector<float> dx(2);
  float dgamma, dbeta;
  kernels_.batch_norm_train_backward(one_, {x.data(), 2, 1}, {dy.data(), 2, 1}, &gamma, &mean, &variance, &inv_std,
                                     EpsilonPlacement::kOutsideRoot, {dx.data(), 2, 1}, &dgamma, &dbeta);
  EXPECT_EQ(dx, (std::vector<float>{10, -10}));  // gamma inv_std (dy - mean(dy))
  EXPECT_EQ(dgamma, 25.0f);
  EXPECT_EQ(dbeta, 4.0f);
}

TEST_P(BatchNormTest, TrainBackward) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    if (m == 0) continue;
    for (EpsilonPlacement placement : kPlacements) {
      SCOPED_TRACE(testing::Message() << m << " x " << n);
      const auto x = RandomFloats(random, m, n, 3);
      const auto dy = RandomFloats(random, m, n, 1);
      const auto gamma = RandomVector(random, n);
      std::vector<float> mean(n), variance(n), inv_std(n);
      for (int64_t j = 0; j < n; ++j) {
        const auto moments = reference::ColumnMoments(x.view(), j);
        mean[j] = static_cast<float>(moments.mean);
        variance[j] = static_cast<float>(moments.variance);
        inv_std[j] = InverseStd(variance[j], 1e-2f, placement);
      }
      std::vector<float> dgamma(n), dbeta(n);
      const auto dx = OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
        TestMatrix<float> dx(m, n, 2);
        kernels_.batch_norm_train_backward(context, x.view(), dy.view(), gamma.data(), mean.data(), variance.data(),
                                           inv_std.data(), placement, dx.view(), dgamma.data(), dbeta.data());
        dx.ExpectGapsUntouched();
        return dx.values();
      });
      auto in_place = dy;
      kernels_.batch_norm_train_backward(two_, x.view(), in_place.view(), gamma.data(), mean.data(), variance.data(),
                                         inv_std.data(), placement, in_place.view(), dgamma.data(), dbeta.data());
      for (int64_t j = 0; j < n; ++j) {
        const auto expected =
            reference::BatchNormBackward(x.view(), dy.view(), gamma[j], mean[j], variance[j], inv_std[j], placement, j);
        // xhat rounds twice, the sum once: relative to the sum of magnitudes.
        ASSERT_NEAR(dgamma[j], expected.dgamma, 4 * kEpsilon * expected.dgamma_magnitude);
        ASSERT_NEAR(dbeta[j], expected.dbeta, 2 * kEpsilon * expected.dbeta_magnitude);
        for (int64_t i = 0; i < m; ++i) {
          ASSERT_NEAR(dx[i * (n + 2) + j], expected.dx[i], 10 * kEpsilon * expected.magnitude[i]);
          ASSERT_TRUE(SameBits(in_place.at(i, j), dx[i * (n + 2) + j]));
        }
      }
    }
  }
}

TEST_P(BatchNormTest, EvalIsTheScalarExpression) {
  Random random(4);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const auto x = HardFloats(random, m, n, 3);
    const auto mean = RandomVector(random, n), inv_std = RandomVector(random, n), gamma = RandomVector(random, n),
               beta = RandomVector(random, n);
    OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      TestMatrix<float> y(m, n, 2);
      kernels_.batch_norm_eval(context, x.view(), mean.data(), inv_std.data(), gamma.data(), beta.data(), y.view());
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const float value = NormalizedValue(x.at(i, j), mean[j], inv_std[j], gamma[j], beta[j]);
          EXPECT_TRUE(SameBits(y.at(i, j), value) || (std::isnan(value) && std::isnan(y.at(i, j))));
        }
      }
      return y.values();
    });
  }
}

TEST_P(BatchNormTest, RunningStatistics) {
  Random random(5);
  BITGRAD_TRACE_SEED(random);
  const int64_t n = 65;
  const auto mean = RandomVector(random, n), variance = RandomVector(random, n, 0.1f, 2),
             inv_std = RandomVector(random, n, 0.5f, 2);
  const auto old_mean = RandomVector(random, n), old_statistic = RandomVector(random, n, 0.1f, 2);
  for (RunningStatistic kind : {RunningStatistic::kVariance, RunningStatistic::kStd, RunningStatistic::kInverseStd}) {
    auto running_mean = old_mean;
    auto running = old_statistic;
    kernels_.batch_norm_update_running(one_, kind, 0.1f, mean.data(), variance.data(), inv_std.data(),
                                       running_mean.data(), running.data(), n);
    for (EpsilonPlacement placement : kPlacements) {
      std::vector<float> result(n);
      kernels_.batch_norm_running_inverse_std(one_, kind, 1e-3f, placement, running.data(), result.data(), n);
      for (int64_t j = 0; j < n; ++j) {
        const double r = running[j];
        const double expected = kind == RunningStatistic::kVariance ? reference::InverseStd(r, 1e-3, placement)
                                : kind == RunningStatistic::kStd    ? reference::InverseStd(r * r, 1e-3, placement)
                                                                    : r;
        EXPECT_NEAR(result[j], expected, 8 * kEpsilon * expected);
      }
    }
    for (int64_t j = 0; j < n; ++j) {
      const double statistic = kind == RunningStatistic::kVariance ? variance[j]
                               : kind == RunningStatistic::kStd    ? std::sqrt(variance[j])
                                                                   : inv_std[j];
      EXPECT_NEAR(running_mean[j], 0.9 * old_mean[j] + 0.1 * mean[j], 6 * kEpsilon * 2);
      EXPECT_NEAR(running[j], 0.9 * old_statistic[j] + 0.1 * statistic, 6 * kEpsilon * 2);
    }
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(BatchNormTest);

}  // namespace
}  // namespace bitgrad
