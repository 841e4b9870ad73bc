#include "bitgrad/tests/reference/batch_norm.h"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

constexpr EpsilonPlacement kPlacements[] = {EpsilonPlacement::kInsideRoot, EpsilonPlacement::kOutsideRoot};
struct Variant {
  EpsilonPlacement placement;
  BatchNormArithmetic arithmetic;
};
constexpr Variant kVariants[] = {{EpsilonPlacement::kInsideRoot, BatchNormArithmetic::kExact},
                                 {EpsilonPlacement::kOutsideRoot, BatchNormArithmetic::kExact},
                                 {EpsilonPlacement::kInsideRoot, BatchNormArithmetic::kShiftPaper},
                                 {EpsilonPlacement::kInsideRoot, BatchNormArithmetic::kShiftTorch}};
constexpr RunningStatistic kStatistics[] = {RunningStatistic::kVariance, RunningStatistic::kStd,
                                            RunningStatistic::kInverseStd};

class BatchNormTest : public KernelTest {
 protected:
  // Shapes() with rows, and batches with more rows than one block of a GPU adds up.
  std::vector<std::pair<int64_t, int64_t>> Batches() const {
    std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
    std::erase_if(shapes, [](const auto& shape) { return shape.first == 0; });
    shapes.insert(shapes.end(), {{1, 33}, {3, 1}, {33, 65}, {2, 1000}});
    shapes.insert(shapes.end(), {{255, 40}, {256, 40}, {1000, 70}, {20000, 3}, {100, 513}});
    return shapes;
  }

  // The gradients for given statistics, into an array of their own and in place.
  void CheckBackward(int64_t m, int64_t n, const Array<float>& x, const std::vector<float>& gradient,
                     const std::vector<float>& gammas, const std::vector<float>& means,
                     const std::vector<float>& variances, const std::vector<float>& inv_stds, Variant variant) {
    const int64_t x_stride = n + 3, dy_stride = n + 1, dx_stride = n + 2;
    const Array<float> dy(*this, gradient), in_place(*this, gradient), gamma(*this, gammas), mean(*this, means);
    const Array<float> variance(*this, variances), inv_std(*this, inv_stds);
    const Array<float> dx(*this, m * dx_stride), dgamma(*this, n), dbeta(*this, n), again(*this, n), once(*this, n);
    Run([&](ExecContext& c, const Kernels& k) {
      k.batch_norm_train_backward(c, x.matrix(c, m, n, x_stride), dy.matrix(c, m, n, dy_stride), gamma.on(c),
                                  mean.on(c), variance.on(c), inv_std.on(c), variant.placement, variant.arithmetic,
                                  dx.matrix(c, m, n, dx_stride), dgamma.on(c), dbeta.on(c));
      k.batch_norm_train_backward(c, x.matrix(c, m, n, x_stride), in_place.matrix(c, m, n, dy_stride), gamma.on(c),
                                  mean.on(c), variance.on(c), inv_std.on(c), variant.placement, variant.arithmetic,
                                  in_place.matrix(c, m, n, dy_stride), again.on(c), once.on(c));
    });
    std::vector<double> expected(m * dx_stride), tolerance(m * dx_stride, 0);
    for (int64_t k = 0; k < m * dx_stride; ++k) expected[k] = dx.initial(k);  // between rows
    std::vector<reference::BatchNormGradients> of_columns;
    for (int64_t j = 0; j < n; ++j) {
      of_columns.push_back(reference::BatchNormBackward(
          {x.initial().data(), m, n, x_stride}, {gradient.data(), m, n, dy_stride}, gammas[j], means[j], variances[j],
          inv_stds[j], variant.placement, variant.arithmetic, j));
      for (int64_t i = 0; i < m; ++i) {
        expected[i * dx_stride + j] = of_columns[j].dx[i];
        // The factors round a few times, relative to the magnitudes of the terms.
        tolerance[i * dx_stride + j] = 10 * kRoundingError * of_columns[j].magnitude[i];
      }
    }
    ExpectNear(
        dx, m * dx_stride, [&](int64_t k) { return expected[k]; }, [&](int64_t k) { return tolerance[k]; });
    // xhat rounds twice, the sum once: relative to the sum of magnitudes.
    ExpectNear(
        dgamma, n, [&](int64_t j) { return of_columns[j].dgamma; },
        [&](int64_t j) { return 4 * kRoundingError * of_columns[j].dgamma_magnitude; });
    ExpectNear(
        dbeta, n, [&](int64_t j) { return of_columns[j].dbeta; },
        [&](int64_t j) { return 2 * kRoundingError * of_columns[j].dbeta_magnitude; });
    const std::vector<float> apart = dx.values(), dgammas = dgamma.values(), dbetas = dbeta.values();
    ExpectMatrix(in_place, m, n, dy_stride, [&](int64_t i, int64_t j) { return apart[i * dx_stride + j]; });
    ExpectValues(again, [&](int64_t j) { return dgammas[j]; });
    ExpectValues(once, [&](int64_t j) { return dbetas[j]; });
  }
};

TEST_P(BatchNormTest, TrainForward) {
  Random random(1);
  const float epsilon = 1e-4f;
  for (const auto& [m, n] : Batches()) {
    for (const Variant& variant : kVariants) {
      const EpsilonPlacement placement = variant.placement;
      for (const auto& [low, high] : {std::pair(-1.0f, 5.0f), std::pair(-1.0f, 1.0f), std::pair(999.0f, 1001.0f)}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n << " from " << low << " to " << high);
        const int64_t stride = n + 3, y_stride = n + 2;
        const Array<float> x(*this, RandomVector(random, m * stride, low, high)), in_place(*this, x.initial());
        const Array<float> gamma(*this, RandomVector(random, n)), beta(*this, RandomVector(random, n));
        const Array<float> mean(*this, n), variance(*this, n), inv_std(*this, n), y(*this, m * y_stride);
        Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          k.batch_norm_statistics(c, x.matrix(c, m, n, stride), epsilon, variant.placement, variant.arithmetic,
                                  mean.on(c), variance.on(c), inv_std.on(c));
          k.batch_norm_eval(c, x.matrix(c, m, n, stride), mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c),
                            y.matrix(c, m, n, y_stride));
          k.batch_norm_eval(c, in_place.matrix(c, m, n, stride), mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c),
                            in_place.matrix(c, m, n, stride));
        });
        std::vector<reference::Moments> moments;
        for (int64_t j = 0; j < n; ++j) {
          moments.push_back(reference::ColumnMoments({x.initial().data(), m, n, stride}, j));
        }
        // The sums are in double, and a result rounds once. Each of m additions may lose 2^-53 of the largest sum: in
        // the kernel sums of d = x - x[0], with |d| <= high - low, of d^2 and, for (sum d)^2, twice of d; in the
        // reference one sum of x and one of squares.
        const double in_double = static_cast<double>(m) * 0x1p-52, width = high - low;
        const std::vector<float> means = mean.values(), variances = variance.values(), inv_stds = inv_std.values();
        const auto exact_variance = [&, m = m, n = n](int64_t j) {
          return variant.arithmetic == BatchNormArithmetic::kExact
                     ? moments[j].variance
                     : reference::ShiftedVariance({x.initial().data(), m, n, stride}, means[j], j);
        };
        ExpectNear(
            mean, n, [&](int64_t j) { return moments[j].mean; },
            [&](int64_t j) { return kRoundingError * std::fabs(moments[j].mean) + in_double * high; });
        ExpectNear(variance, n, exact_variance,
                   [&](int64_t j) { return kRoundingError * exact_variance(j) + 2.5 * in_double * width * width; });
        ExpectValues(inv_std, [&](int64_t j) { return InverseStd(variances[j], epsilon, placement); });
        ExpectNear(
            inv_std, n, [&](int64_t j) { return reference::InverseStd(variances[j], epsilon, placement); },
            [&](int64_t j) { return 4 * kRoundingError * inv_stds[j]; });
        // Equal to the last bit, because thresholds are folded from this expression.
        const auto normalized = [&](int64_t i, int64_t j) {
          return NormalizedValue(x.initial(i * stride + j), means[j], inv_stds[j], gamma.initial(j), beta.initial(j));
        };
        ExpectMatrix(y, m, n, y_stride, normalized);
        ExpectMatrix(in_place, m, n, stride, normalized);
      }
    }
  }
}

// A large mean against a small deviation: sums of squares would cancel.
TEST_P(BatchNormTest, VarianceSurvivesALargeMean) {
  Random random(2);
  const int64_t m = 129, n = 33;
  const Array<float> x(*this, RandomVector(random, m * n, 1e6f, 1e6f + 8));
  const Array<float> mean(*this, n), variance(*this, n), inv_std(*this, n);
  Run([&](ExecContext& c, const Kernels& k) {
    k.batch_norm_statistics(c, x.matrix(c, m, n, n), 1e-4f, EpsilonPlacement::kInsideRoot, BatchNormArithmetic::kExact,
                            mean.on(c), variance.on(c), inv_std.on(c));
  });
  // The reference's own error: m roundings of a mean of 1e6, squared away; deviations are below 8.
  ExpectNear(
      variance, n,
      [&](int64_t j) {
        return reference::ColumnMoments({x.initial().data(), m, n}, j).variance;
      },
      [](int64_t) { return 1e-6; });
}

TEST_P(BatchNormTest, StatisticsOfConstantsAndNaNs) {
  const int64_t m = 300, n = 4;
  std::vector<float> values(m * n);
  for (int64_t i = 0; i < m; ++i) {
    values[i * n] = 0.1f;                       // variance 0 exactly
    values[i * n + 1] = i == 299 ? NAN : 1.0f;  // at the end
    values[i * n + 2] = i == 0 ? NAN : 1.0f;    // in the shift
    values[i * n + 3] = i % 2 == 0 ? 1.0f : -1.0f;
  }
  const float means[] = {0.1f, NAN, NAN, 0}, variances[] = {0, NAN, NAN, 1};
  for (const Variant& variant : kVariants) {
    const Array<float> x(*this, values), mean(*this, n), variance(*this, n), inv_std(*this, n);
    Run([&](ExecContext& c, const Kernels& k) {
      k.batch_norm_statistics(c, x.matrix(c, m, n, n), 1e-4f, variant.placement, variant.arithmetic, mean.on(c),
                              variance.on(c), inv_std.on(c));
    });
    ExpectValues(mean, [&](int64_t j) { return means[j]; });
    ExpectValues(variance, [&](int64_t j) { return variances[j]; });
    ExpectValues(inv_std, [&](int64_t j) { return InverseStd(variances[j], 1e-4f, variant.placement); });
  }
}

TEST_P(BatchNormTest, ConstantColumnHasVarianceZero) {
  const int64_t m = 100;
  const Array<float> x(*this, std::vector<float>(m, 0.1f)), dy(*this, std::vector<float>(m, 1.0f));
  const Array<float> gamma(*this, std::vector<float>{1}), beta(*this, std::vector<float>{0.5f});
  const Array<float> mean(*this, 1), variance(*this, 1), inv_std(*this, 1), y(*this, m);
  const Array<float> dx(*this, m), dgamma(*this, 1), dbeta(*this, 1);
  Run([&](ExecContext& c, const Kernels& k) {
    const MatrixView<float> in = x.matrix(c, m, 1, 1);
    k.batch_norm_statistics(c, in, 1e-4f, EpsilonPlacement::kOutsideRoot, BatchNormArithmetic::kExact, mean.on(c),
                            variance.on(c), inv_std.on(c));
    k.batch_norm_eval(c, in, mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c), y.matrix(c, m, 1, 1));
    k.batch_norm_train_backward(c, in, dy.matrix(c, m, 1, 1), gamma.on(c), mean.on(c), variance.on(c), inv_std.on(c),
                                EpsilonPlacement::kOutsideRoot, BatchNormArithmetic::kExact, dx.matrix(c, m, 1, 1),
                                dgamma.on(c), dbeta.on(c));
  });
  EXPECT_EQ(mean.values()[0], 0.1f);
  EXPECT_EQ(variance.values()[0], 0.0f);
  EXPECT_EQ(y.values(), std::vector<float>(m, 0.5f));
  // No infinity times zero in the gradient.
  EXPECT_EQ(dx.values(), std::vector<float>(m, 0.0f));
  EXPECT_EQ(dgamma.values()[0], 0.0f);
  EXPECT_EQ(dbeta.values()[0], 100.0f);
}

// The root has no slope at 0: no gradient flows through a variance of 0.
TEST_P(BatchNormTest, VarianceOfZeroPassesNoGradient) {
  const Array<float> x(*this, {1.0f, 2.0f}), dy(*this, {3.0f, 1.0f}), gamma(*this, std::vector<float>{2});
  const Array<float> mean(*this, std::vector<float>{0}), variance(*this, std::vector<float>{0});
  const Array<float> inv_std(*this, std::vector<float>{5}), dx(*this, 2), dgamma(*this, 1), dbeta(*this, 1);
  Run([&](ExecContext& c, const Kernels& k) {
    k.batch_norm_train_backward(c, x.matrix(c, 2, 1, 1), dy.matrix(c, 2, 1, 1), gamma.on(c), mean.on(c), variance.on(c),
                                inv_std.on(c), EpsilonPlacement::kOutsideRoot, BatchNormArithmetic::kExact,
                                dx.matrix(c, 2, 1, 1), dgamma.on(c), dbeta.on(c));
  });
  EXPECT_EQ(dx.values(), (std::vector<float>{10, -10}));  // gamma inv_std (dy - mean(dy))
  EXPECT_EQ(dgamma.values()[0], 25.0f);
  EXPECT_EQ(dbeta.values()[0], 4.0f);
}

TEST_P(BatchNormTest, TrainBackward) {
  Random random(3);
  for (const auto& [m, n] : Batches()) {
    for (const Variant& variant : kVariants) {
      SCOPED_TRACE(testing::Message() << m << " x " << n << ", arithmetic " << static_cast<int>(variant.arithmetic));
      const Array<float> x(*this, RandomVector(random, m * (n + 3)));
      const std::vector<float> dy = RandomVector(random, m * (n + 1)), gamma = RandomVector(random, n);
      // The statistics of the batch.
      std::vector<float> mean(n), variance(n), inv_std(n);
      for (int64_t j = 0; j < n; ++j) {
        const auto moments = reference::ColumnMoments({x.initial().data(), m, n, n + 3}, j);
        mean[j] = static_cast<float>(moments.mean);
        variance[j] = static_cast<float>(moments.variance);
        inv_std[j] = InverseStd(variance[j], 1e-2f, variant.placement);
      }
      CheckBackward(m, n, x, dy, gamma, mean, variance, inv_std, variant);
      // Any statistics.
      mean = RandomVector(random, n);
      variance = RandomVector(random, n, 0.1f, 2);
      if (n > 0) variance[0] = 0;  // kappa is 0
      inv_std = RandomVector(random, n, 0.5f, 2);
      CheckBackward(m, n, x, dy, gamma, mean, variance, inv_std, variant);
    }
  }
}

// The adjacent threads of a warp have adjacent columns, so rows and columns must not be confused: gradients of known
// values.
TEST_P(BatchNormTest, TrainBackwardOfOneRow) {
  const Array<float> x(*this, {3.0f, 5.0f}), dy(*this, {1.0f, 2.0f}), one(*this, {1.0f, 1.0f}),
      zero(*this, {0.0f, 0.0f});
  const Array<float> dx(*this, 2), dgamma(*this, 2), dbeta(*this, 2);
  Run([&](ExecContext& c, const Kernels& k) {
    k.batch_norm_train_backward(c, x.matrix(c, 1, 2, 2), dy.matrix(c, 1, 2, 2), one.on(c), zero.on(c), one.on(c),
                                one.on(c), EpsilonPlacement::kInsideRoot, BatchNormArithmetic::kExact,
                                dx.matrix(c, 1, 2, 2), dgamma.on(c), dbeta.on(c));
  });
  EXPECT_EQ(dx.values(), (std::vector<float>{-9, -50}));  // dy - dy - x (dy x)
  EXPECT_EQ(dgamma.values(), (std::vector<float>{3, 10}));
  EXPECT_EQ(dbeta.values(), (std::vector<float>{1, 2}));
}

TEST_P(BatchNormTest, RunningStatistics) {
  Random random(5);
  for (const RunningStatistic kind : kStatistics) {
    for (const EpsilonPlacement placement : kPlacements) {
      for (const int64_t n : Counts()) {
        SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(kind) << ", " << n);
        const Array<float> mean(*this, RandomVector(random, n)), variance(*this, RandomVector(random, n, 0, 2));
        const Array<float> inv_std(*this, RandomVector(random, n, 0.1f, 9));
        const Array<float> running_mean(*this, RandomVector(random, n)), running(*this, RandomVector(random, n, 0, 2));
        const Array<float> used(*this, n + 1);
        Run([&](ExecContext& c, const Kernels& k) {
          k.batch_norm_update_running(c, kind, 0.1f, mean.on(c), variance.on(c), inv_std.on(c), running_mean.on(c),
                                      running.on(c), n);
          k.batch_norm_running_inverse_std(c, kind, 1e-3f, placement, running.on(c), used.on(c), n);
        });
        const auto average = [](float old, float now) { return (1.0f - 0.1f) * old + 0.1f * now; };
        const auto statistic = [&](int64_t j) {
          return kind == RunningStatistic::kVariance ? variance.initial(j)
                 : kind == RunningStatistic::kStd    ? std::sqrt(variance.initial(j))
                                                     : inv_std.initial(j);
        };
        ExpectValues(running_mean, [&](int64_t j) { return average(running_mean.initial(j), mean.initial(j)); });
        ExpectValues(running, [&](int64_t j) { return average(running.initial(j), statistic(j)); });
        const std::vector<float> now = running.values();
        ExpectValues(used, n, [&](int64_t j) {
          return kind == RunningStatistic::kVariance ? InverseStd(now[j], 1e-3f, placement)
                 : kind == RunningStatistic::kStd    ? InverseStd(now[j] * now[j], 1e-3f, placement)
                                                     : now[j];
        });
        const auto exact = [&](int64_t j) {
          const double r = now[j];
          return kind == RunningStatistic::kVariance ? reference::InverseStd(r, 1e-3, placement)
                 : kind == RunningStatistic::kStd    ? reference::InverseStd(r * r, 1e-3, placement)
                                                     : r;
        };
        ExpectNear(used, n, exact, [&](int64_t j) { return 8 * kRoundingError * exact(j); });
      }
    }
  }
}

// The signs are the same as those of normalizing first and packing then, NaN and the edges of the window included.
TEST_P(BatchNormTest, EvalAndSigns) {
  Random random(4);
  std::vector<std::pair<int64_t, int64_t>> shapes = Batches();
  shapes.insert(shapes.end(), {{0, 3}, {0, 5}, {0, 33}, {65, 64}, {31, 96}, {32, 32}, {33, 32}});
  for (const auto& [m, n] : shapes) {
    for (const bool with_window : {false, true}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n << (with_window ? " with a window" : ""));
      const int64_t stride = n + 3, y_stride = n + 2;
      std::vector<float> gammas = RandomVector(random, n), betas = RandomVector(random, n);
      std::vector<float> means = RandomVector(random, n), inv_stds = RandomVector(random, n, 0.1f, 3);
      // Some columns leave x unchanged.
      for (int64_t j = 0; j < n; j += 3) gammas[j] = inv_stds[j] = 1, betas[j] = means[j] = 0;
      const Array<float> x(*this, HardVector(random, m * stride)), in_place(*this, x.initial()), y(*this, m * y_stride);
      const Array<float> mean(*this, means), inv_std(*this, inv_stds), gamma(*this, gammas), beta(*this, betas);
      const BitArray bits(*this, m, n), window(*this, m, n);
      Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        const MatrixView<float> in = x.matrix(c, m, n, stride), same = in_place.matrix(c, m, n, stride);
        k.batch_norm_eval(c, in, mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c), y.matrix(c, m, n, y_stride));
        k.batch_norm_eval(c, same, mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c), same);
        k.batch_norm_signs(c, in, mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c), bits.on(c),
                           with_window ? window.on(c) : BitMatrixView{});
      });
      const auto normalized = [&](int64_t i, int64_t j) {
        return NormalizedValue(x.initial(i * stride + j), means[j], inv_stds[j], gammas[j], betas[j]);
      };
      ExpectMatrix(y, m, n, y_stride, normalized);
      ExpectMatrix(in_place, m, n, stride, normalized);
      ExpectBits(bits, [&](int64_t i, int64_t j) { return normalized(i, j) >= 0; });
      if (with_window) ExpectBits(window, [&](int64_t i, int64_t j) { return std::fabs(normalized(i, j)) <= 1; });
    }
  }
}

// Zero, minus zero and the ends of the window, which random numbers do not meet.
TEST_P(BatchNormTest, SignsAtTheEdges) {
  const float below_one = std::nextafter(1.0f, 0.0f), above_one = std::nextafter(1.0f, 2.0f);
  const std::vector<float> edges = {0.0f,      -0.0f, 1.0f,     -1.0f,     above_one, -above_one,
                                    below_one, NAN,   INFINITY, -INFINITY, -1e-45f};
  const int64_t n = static_cast<int64_t>(edges.size());
  const Array<float> x(*this, edges), zero(*this, std::vector<float>(n, 0.0f)), one(*this, std::vector<float>(n, 1.0f));
  const Array<float> minus_zero(*this, std::vector<float>(n, -0.0f));
  const BitArray bits(*this, 1, n), window(*this, 1, n);
  Run([&](ExecContext& c, const Kernels& k) {
    k.batch_norm_signs(c, x.matrix(c, 1, n, n), zero.on(c), one.on(c), one.on(c), minus_zero.on(c), bits.on(c),
                       window.on(c));
  });
  EXPECT_EQ(bits.words()[0], 0b101010111u);
  EXPECT_EQ(window.words()[0], 0b10001001111u);
}

BITGRAD_INSTANTIATE_ON_DEVICES(BatchNormTest);

}  // namespace
}  // namespace bitgrad
