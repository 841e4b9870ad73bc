#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/losses.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using LossesTest = CpuKernelTest;

struct Batch {
  TestMatrix<float> logits;
  std::vector<int32_t> labels;
};

Batch RandomBatch(Random& random, int64_t m, int64_t n, float range) {
  Batch batch = {RandomFloats(random, m, n, 2, -range, range), {}};
  for (int64_t i = 0; i < m; ++i) {
    batch.labels.push_back(static_cast<int32_t>(random.Below(static_cast<uint32_t>(n))));
  }
  return batch;
}

// Without shapes of no columns, because a label needs a class.
std::vector<Extents> LossShapes() {
  std::vector<Extents> shapes;
  for (const Extents& shape : MatrixShapes()) {
    if (shape.second > 0) shapes.push_back(shape);
  }
  shapes.push_back({100, 10});
  return shapes;
}

TEST_P(LossesTest, SoftmaxCrossEntropy) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : LossShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const Batch batch = RandomBatch(random, m, n, 8);
    const float dloss = 0.7f;
    TestMatrix<float> p(m, n, 1);
    const auto loss = OnOneAndTwoThreads([&](ExecContext& context) {
      float loss = NAN;
      kernels_.softmax_cross_entropy_forward(context, batch.logits.view(), batch.labels.data(), p.view(), &loss);
      return std::vector<float>{loss};
    });
    p.ExpectGapsUntouched();
    const auto dx = OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      TestMatrix<float> dx(m, n);
      kernels_.softmax_cross_entropy_backward(context, p.view(), batch.labels.data(), &dloss, dx.view());
      return dx.values();
    });
    const double expected = reference::CrossEntropy(batch.logits.view(), batch.labels.data());
    // x - max rounds once, relative to at most 16, and exp turns that into a relative error; exp itself and the
    // final rounding add a few.
    const double relative = (16 + 4) * kEpsilon;
    EXPECT_NEAR(loss[0], expected, relative + kEpsilon * expected);
    for (int64_t i = 0; i < m; ++i) {
      const auto softmax = reference::Softmax(batch.logits.view(), i);
      for (int64_t j = 0; j < n; ++j) {
        ASSERT_NEAR(p.at(i, j), softmax[j], 2 * relative * softmax[j]);
        const double error = softmax[j] - (j == batch.labels[i] ? 1 : 0);
        ASSERT_NEAR(dx[i * n + j], dloss / m * error,
                    dloss / m * (2 * relative * softmax[j] + 4 * kEpsilon * std::fabs(error) + kEpsilon));
      }
    }
  }
}

TEST_P(LossesTest, CrossEntropyOfExtremeLogits) {
  const float logits[] = {1e30f, -1e30f, 0.0f, 0.0f, 1000.0f, 900.0f};
  const int32_t labels[] = {0, 1, 1};
  float p[6], loss;
  kernels_.softmax_cross_entropy_forward(one_, {logits, 3, 2}, labels, {p, 3, 2}, &loss);
  EXPECT_FLOAT_EQ(loss, static_cast<float>((0.0 + std::log(2.0) + 100.0) / 3));
  EXPECT_EQ(p[0], 1.0f);
  EXPECT_EQ(p[1], 0.0f);
  // A NaN is not hidden.
  const float broken[] = {std::numeric_limits<float>::quiet_NaN(), 1.0f};
  kernels_.softmax_cross_entropy_forward(one_, {broken, 1, 2}, labels, {p, 1, 2}, &loss);
  EXPECT_TRUE(std::isnan(loss));
}

TEST_P(LossesTest, SquaredHinge) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : LossShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const Batch batch = RandomBatch(random, m, n, 3);
    const float scale = 1.0f / static_cast<float>(std::max<int64_t>(1, m)), dloss = 0.7f;
    const auto loss = OnOneAndTwoThreads([&](ExecContext& context) {
      float loss = NAN;
      kernels_.squared_hinge_forward(context, batch.logits.view(), batch.labels.data(), scale, &loss);
      return std::vector<float>{loss};
    });
    const auto dx = OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      TestMatrix<float> dx(m, n);
      kernels_.squared_hinge_backward(context, batch.logits.view(), batch.labels.data(), scale, &dloss, dx.view());
      return dx.values();
    });
    // The slack rounds once, relative to at most 4; its square doubles that. All terms are positive.
    const double expected = reference::SquaredHinge(batch.logits.view(), batch.labels.data(), scale);
    EXPECT_NEAR(loss[0], expected, kEpsilon * expected + scale * static_cast<double>(m * n) * 2 * 4 * 4 * kEpsilon);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const double t = j == batch.labels[i] ? 1 : -1;
        const double expected_dx =
            dloss * scale * -2.0 * t * reference::HingeTerm(batch.logits.view(), batch.labels.data(), i, j);
        ASSERT_NEAR(dx[i * n + j], expected_dx, dloss * scale * 2 * 4 * 5 * kEpsilon);
      }
    }
  }
}

TEST_P(LossesTest, SquaredHingeShowsNaN) {
  const float logits[] = {std::numeric_limits<float>::quiet_NaN(), 1.0f};
  const int32_t label = 1;
  float loss = 0;
  kernels_.squared_hinge_forward(one_, {logits, 1, 2}, &label, 1.0f, &loss);
  EXPECT_TRUE(std::isnan(loss));
}

TEST_P(LossesTest, SquaredError) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  for (int64_t count : VectorSizes()) {
    SCOPED_TRACE(count);
    const auto y = RandomVector(random, count), target = RandomVector(random, count);
    const float scale = 0.25f, dloss = 3.0f;
    const auto loss = OnOneAndTwoThreads([&](ExecContext& context) {
      float loss = NAN;
      kernels_.squared_error_forward(context, y.data(), target.data(), count, scale, &loss);
      return std::vector<float>{loss};
    });
    const auto dy = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> dy(count);
      kernels_.squared_error_backward(context, y.data(), target.data(), count, scale, &dloss, dy.data());
      return dy;
    });
    double expected = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double d = static_cast<double>(y[i]) - target[i];
      expected += scale * d * d;
      ASSERT_NEAR(dy[i], dloss * scale * 2.0 * d, dloss * scale * 2 * 4 * 3 * kEpsilon);
    }
    EXPECT_NEAR(loss[0], expected, 2 * kEpsilon * expected);
  }
}

TEST_P(LossesTest, CountsErrors) {
  Random random(4);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : LossShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    Batch batch = RandomBatch(random, m, n, 3);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        float& x = batch.logits.view().at(i, j);
        x = std::round(x);  // Equal maxima are common.
        if (random.Below(100) == 0) x = std::numeric_limits<float>::quiet_NaN();
      }
      if (random.Below(2) == 0) {
        const float* row = batch.logits.view().row(i);
        batch.labels[i] = static_cast<int32_t>(std::max_element(row, row + n) - row);
      }
    }
    const auto errors = OnOneAndTwoThreads([&](ExecContext& context) {
      int64_t errors = -1;
      kernels_.count_errors(context, batch.logits.view(), batch.labels.data(), &errors);
      return std::vector<int64_t>{errors};
    });
    EXPECT_EQ(errors[0], reference::CountErrors(batch.logits.view(), batch.labels.data()));
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(LossesTest);

}  // namespace
}  // namespace bitgrad
