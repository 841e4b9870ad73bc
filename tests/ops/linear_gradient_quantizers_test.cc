// Linear ops whose gradient is quantized before it enters the products.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/rng.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/tests/ops/linear_testing.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using LinearGradientQuantizerTest = OnTestDevice<testing::Test>;

TEST_F(LinearGradientQuantizerTest, ReplacesTheGradientByItsQuantizedValue) {
  for (const char* name : {"dorefa_gradient(2)", "dorefa_gradient(6)", "k_bit(3)", "sign"}) {
    TestRandom random(33);
    SCOPED_TRACE(name + (", " + random.ToString()));
    const int64_t m = 5, k = 37, n = 11;
    const Quantizer q = Make(name);
    const Tensor x = random.UniformTensor({m, k}), w = random.UniformTensor({n, k});
    Tensor r = random.UniformTensor({m, n});
    std::vector<double> dy;
    for (int64_t i = 0; i < m; ++i) {
      float* row = r.mutable_data<float>() + i * n;
      // The largest gradient is not among those moved away from a jump: it is the row's statistic.
      row[0] = static_cast<float>(2.5 + i);
      const double statistic = q.granularity() == Granularity::kRow ? row[0] : 0;
      for (int64_t j = 0; j < n; ++j) {
        const double u = Uniform(StreamOf(2), i * n + j);
        while (j > 0 && reference::DistanceToJump(q, row[j], statistic, u) < 1e-4) row[j] *= 0.98f;
        dy.push_back(reference::Value(q, row[j], statistic, u));
      }
    }
    const ProductQuantizers quantizers{.weight = Make("sign"), .gradient = q};
    const Outcome run = RunLinear(quantizers, x, w, r);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t l = 0; l < k; ++l) {
        double sum = 0, magnitude = 0;
        for (int64_t j = 0; j < n; ++j) {
          sum += dy[i * n + j] * (w.data<float>()[j * k + l] >= 0 ? 1 : -1);
          magnitude += std::fabs(dy[i * n + j]);
        }
        ASSERT_NEAR(run.dx.data<float>()[i * k + l], sum, (n + 8) * kRounding * magnitude + 1e-9);
      }
    }
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) {
        double sum = 0, magnitude = 0;
        for (int64_t i = 0; i < m; ++i) {
          const double term = dy[i * n + j] * x.data<float>()[i * k + l];
          sum += term;
          magnitude += std::fabs(term);
        }
        // The quantizer's levels come from a subtraction: their error is relative to the row's maximum.
        ASSERT_NEAR(run.dw.data<float>()[j * k + l], sum, (m + 8) * kRounding * (magnitude + 2.0 * 7 * m));
      }
    }
    const Outcome again = RunLinear(quantizers, x, w, r);
    ExpectSameBits(again.dx, run.dx);
    ExpectSameBits(again.dw, run.dw);
    ExpectSameBits(again.y, RunLinear({.weight = Make("sign")}, x, w, r).y);
  }
}

// Each product rounds its left operand itself, row by row: a row is an example for dx, an output for dw.
TEST_F(LinearGradientQuantizerTest, Int8ProductsRoundTheirRows) {
  for (const char* name : {"stochastic_round(2)", "stochastic_round(8)"}) {
    TestRandom random(35);
    SCOPED_TRACE(name + (", " + random.ToString()));
    const int64_t m = 7, k = 70, n = 11;
    const Quantizer q = Make(name);
    const Tensor x = random.UniformTensor({m, k}, -1.5f, 1.5f), w = random.UniformTensor({n, k});
    const Tensor r = random.UniformTensor({m, n});
    const float* dy = r.data<float>();
    const auto sign = [](const Tensor& t, int64_t i) { return t.data<float>()[i] >= 0 ? 1 : -1; };
    // value(i, j) of `rows` rows of `cols` gradients, gradient(i, j) = dy[i * row_step + j * col_step].
    const auto quantized = [&](int64_t rows, int64_t cols, int64_t row_step, int64_t col_step, uint32_t stream) {
      std::vector<double> values;
      for (int64_t i = 0; i < rows; ++i) {
        double statistic = 0;
        for (int64_t j = 0; j < cols; ++j) {
          statistic = std::max(statistic, std::fabs(double{dy[i * row_step + j * col_step]}));
        }
        for (int64_t j = 0; j < cols; ++j) {
          const double g = dy[i * row_step + j * col_step], u = Uniform(StreamOf(stream), i * cols + j);
          EXPECT_GT(reference::DistanceToJump(q, g, statistic, u), 1e-7);
          values.push_back(reference::Value(q, g, statistic, u));
        }
      }
      return values;
    };
    const std::vector<double> for_dx = quantized(m, n, n, 1, 2), for_dw = quantized(n, m, 1, n, 3);
    const Outcome run = RunLinear({.input = Make("sign"), .weight = Make("sign"), .gradient = q}, x, w, r);
    for (int64_t l = 0; l < k; ++l) {
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j) sum += for_dx[i * n + j] * sign(w, j * k + l);
        const bool inside = std::fabs(x.data<float>()[i * k + l]) <= 1;
        ASSERT_NEAR(run.dx.data<float>()[i * k + l], inside ? sum : 0, 4 * kRounding * 2 * n);
      }
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t i = 0; i < m; ++i) sum += for_dw[j * m + i] * sign(x, i * k + l);
        ASSERT_NEAR(run.dw.data<float>()[j * k + l], sum, 4 * kRounding * 2 * m);
      }
    }
    // A product with an operand that is not binary takes the gradient unchanged.
    const Outcome mixed = RunLinear({.weight = Make("sign"), .gradient = q}, x, w, r);
    ExpectSameBits(mixed.dw, RunLinear({.weight = Make("sign")}, x, w, r).dw);
  }
}

}  // namespace
}  // namespace bitgrad
