#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/reduce.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ReduceTest = CpuKernelTest;

// The error of a sum in double is far below a float's last place. What remains is the rounding to float, and one more
// where the sum is scaled or added to something.
double Tolerance(const reference::Sum& sum, int64_t count) {
  return 2 * kEpsilon * std::fabs(sum.value) + count * 0x1p-53 * sum.magnitude;
}

TEST_P(ReduceTest, SumsRows) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    for (bool accumulate : {false, true}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n);
      const auto x = RandomFloats(random, m, n, 3);
      const auto before = RandomVector(random, n);
      const auto y = OnOneAndTwoThreads([&, n = n](ExecContext& context) {
        auto y = accumulate ? before : std::vector<float>(n, NAN);
        kernels_.sum_rows(context, x.view(), accumulate, y.data());
        return y;
      });
      for (int64_t j = 0; j < n; ++j) {
        auto sum = reference::SumOf(m, [&](int64_t i) { return x.at(i, j); });
        if (accumulate) sum.Add(before[j]);
        ASSERT_NEAR(y[j], sum.value, Tolerance(sum, m + 1)) << "column " << j;
      }
    }
  }
}

TEST_P(ReduceTest, SumsAll) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  for (int64_t count : VectorSizes()) {
    SCOPED_TRACE(count);
    const auto x = RandomVector(random, count);
    const auto y = OnOneAndTwoThreads([&](ExecContext& context) {
      float y = NAN;
      kernels_.sum_all(context, x.data(), count, 0.3f, &y);
      return std::vector<float>{y};
    });
    const auto sum = reference::SumOf(count, [&](int64_t i) { return 0.3f * static_cast<double>(x[i]); });
    EXPECT_NEAR(y[0], sum.value, Tolerance(sum, count));
  }
}

TEST_P(ReduceTest, MeansOfMagnitudes) {
  Random random(5);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    if (n == 0) continue;
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const auto x = RandomFloats(random, m, n, 3);
    const auto y = OnOneAndTwoThreads([&, m = m](ExecContext& context) {
      std::vector<float> y(m, NAN);
      kernels_.mean_abs_rows(context, x.view(), y.data());
      return y;
    });
    for (int64_t i = 0; i < m; ++i) {
      auto sum = reference::SumOf(n, [&, i = i](int64_t j) { return std::fabs(x.at(i, j)); });
      sum.value /= static_cast<double>(n);
      ASSERT_NEAR(y[i], sum.value, Tolerance(sum, n)) << "row " << i;
    }
  }
}

TEST_P(ReduceTest, MeansOfMagnitudesBackward) {
  Random random(6);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    if (n == 0) continue;
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const auto x = HardFloats(random, m, n, 3);
    const auto dy = RandomVector(random, m);
    OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      TestMatrix<float> dx(m, n, 5);
      kernels_.mean_abs_rows_backward(context, x.view(), dy.data(), dx.view());
      dx.ExpectGapsUntouched();
      ExpectSame(
          m, n, [&](int64_t i, int64_t j) { return dx.at(i, j); },
          // sign(0) = +1, sign(NaN) = -1
          [&](int64_t i, int64_t j) { return (x.at(i, j) >= 0 ? dy[i] : -dy[i]) / static_cast<float>(n); });
      return dx.values();
    });
  }
}

TEST_P(ReduceTest, SumsOfSquares) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  for (int64_t count : VectorSizes()) {
    SCOPED_TRACE(count);
    const auto x = RandomVector(random, count);
    const auto y = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<double> y(2, 3.5);
      const std::vector<float> three = {3.0f};
      kernels_.sums_of_squares(context, {absl::MakeConstSpan(three), absl::MakeConstSpan(x)}, y.data());
      return y;
    });
    const auto sum = reference::SumOf(count, [&](int64_t i) { return static_cast<double>(x[i]) * x[i]; });
    EXPECT_EQ(y[0], 9);
    EXPECT_NEAR(y[1], sum.value, (count + 1) * 0x1p-53 * sum.magnitude);
  }
}

// The bits of a sum do not depend on the machine: all instruction sets must agree.
TEST(ReduceTargetsTest, AllInstructionSetsGiveTheSameBits) {
  Random random(4);
  BITGRAD_TRACE_SEED(random);
  const auto x = RandomVector(random, 40001);
  ExecContext context({.threads = 2});
  std::vector<double> sums;
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    double sum = 0;
    CpuKernels().sums_of_squares(context, {absl::MakeConstSpan(x)}, &sum);
    sums.push_back(sum);
  }
  hwy::SetSupportedTargetsForTest(0);
  for (double sum : sums) EXPECT_EQ(sum, sums[0]);
}

BITGRAD_INSTANTIATE_FOR_TARGETS(ReduceTest);

}  // namespace
}  // namespace bitgrad
