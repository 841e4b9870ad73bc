#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaBatchNormTest = CudaTest;

constexpr EpsilonPlacement kPlacements[] = {EpsilonPlacement::kInsideRoot, EpsilonPlacement::kOutsideRoot};

// The shapes of the CPU's tests, and batches with more rows than one block adds up.
std::vector<std::pair<int64_t, int64_t>> Batches() {
  std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
  shapes.erase(shapes.begin());  // No rows: not a batch.
  shapes.insert(shapes.end(), {{255, 40}, {256, 40}, {1000, 70}, {20000, 3}, {100, 513}});
  return shapes;
}

TEST_F(CudaBatchNormTest, Statistics) {
  TestRandom random(1);
  for (const auto& [m, n] : Batches()) {
    for (const EpsilonPlacement placement : kPlacements) {
      for (const float mean_of_x : {0.0f, 1000.0f}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n << " around " << mean_of_x);
        Both<float> x = Uniform(random, m * (n + 3), mean_of_x - 1, mean_of_x + 1);
        Both<float> mean(gpu_, n), variance(gpu_, n), inv_std(gpu_, n);
        OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          k.batch_norm_statistics(c, x.matrix(c, m, n, n + 3), 1e-4f, placement, mean.on(c), variance.on(c),
                                  inv_std.on(c));
        });
        // The sums are in double, of d = x - x[0] with |d| <= 2. The mean of d has an error of at most m 2^-53 2; that
        // of d^2, and (mean d)^2, have errors of m 2^-53 4. Then comes a rounding to float, which may give either
        // neighbour. The error of inv_std due to the variance's rounding is half as large, relatively (less with
        // epsilon), and inv_std has three roundings of its own.
        ExpectClose(mean, 2 * kRounding, 2 * m * 0x1p-53);
        ExpectClose(variance, 2 * kRounding, 8 * m * 0x1p-53);
        // Where the variance is tiny compared with epsilon, its absolute error is relative to 1e-4 (with epsilon
        // outside the root to 1e-4^2).
        ExpectClose(inv_std, 8 * kRounding, 8 * m * 0x1p-53 * 1e8);
      }
    }
  }
}

TEST_F(CudaBatchNormTest, StatisticsOfConstantsAndNaNs) {
  const int64_t m = 300, n = 4;
  std::vector<float> values(m * n);
  for (int64_t i = 0; i < m; ++i) {
    values[i * n] = 0.1f;                       // variance 0 exactly
    values[i * n + 1] = i == 299 ? NAN : 1.0f;  // at the end
    values[i * n + 2] = i == 0 ? NAN : 1.0f;    // in the shift
    values[i * n + 3] = i % 2 == 0 ? 1.0f : -1.0f;
  }
  for (const EpsilonPlacement placement : kPlacements) {
    Both<float> x(gpu_, values), mean(gpu_, n), variance(gpu_, n), inv_std(gpu_, n);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.batch_norm_statistics(c, x.matrix(c, m, n), 1e-4f, placement, mean.on(c), variance.on(c), inv_std.on(c));
    });
    ExpectClose(mean, 0);
    ExpectClose(variance, 0);
    ExpectClose(inv_std, 0);
    EXPECT_EQ(variance.of_device()[0], 0.0f);
    EXPECT_TRUE(std::isnan(variance.of_device()[1]) && std::isnan(variance.of_device()[2]));
  }
}

TEST_F(CudaBatchNormTest, TrainBackward) {
  TestRandom random(2);
  for (const auto& [m, n] : Batches()) {
    for (const EpsilonPlacement placement : kPlacements) {
      for (const bool in_place : {false, true}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n << (in_place ? ", in place" : ""));
        Both<float> x = Uniform(random, m * (n + 3)), dy = Uniform(random, m * (n + 1)), gamma = Uniform(random, n);
        Both<float> mean = Uniform(random, n), inv_std = Uniform(random, n, 0.5f, 2);
        std::vector<float> variances = Uniform(random, n, 0.1f, 2).of_host();
        variances[0] = 0;  // kappa is 0
        Both<float> variance(gpu_, variances), dx(gpu_, m * (n + 2)), dgamma(gpu_, n), dbeta(gpu_, n);
        OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          const MatrixView<float> g = dy.matrix(c, m, n, n + 1);
          k.batch_norm_train_backward(c, x.matrix(c, m, n, n + 3), g, gamma.on(c), mean.on(c), variance.on(c),
                                      inv_std.on(c), placement, in_place ? g : dx.matrix(c, m, n, n + 2), dgamma.on(c),
                                      dbeta.on(c));
        });
        // |x - mean| <= 4, |xhat| <= 8, |dy| <= 2. The column sums in double are rounded to one of two neighbours. In
        // dx = scale (dy - mean_dy - xhat slope), |scale| <= 4 multiplies the errors of mean_dy (at most 2 2^-23) and
        // of slope (<= 16 kappa, kappa <= 7: at most 112 2^-23, times 8), and the roundings of three more operations on
        // such values.
        ExpectClose(dbeta, 2 * kRounding, 2 * m * m * 0x1p-53);
        ExpectClose(dgamma, 2 * kRounding, 16 * m * m * 0x1p-53);
        const double off = 4 * (2 + 8 * 112) * 2 * kRounding;
        if (in_place) {
          ExpectClose(dy, 0, 4 * off);
        } else {
          ExpectClose(dx, 0, 4 * off);
        }
      }
    }
  }
}

// The adjacent threads of a warp have adjacent columns, so rows and columns must not be confused: gradients of known
// values.
TEST_F(CudaBatchNormTest, TrainBackwardOfOneRow) {
  Both<float> x(gpu_, {3.0f, 5.0f}), dy(gpu_, {1.0f, 2.0f}), one(gpu_, {1.0f, 1.0f}), zero(gpu_, {0.0f, 0.0f});
  Both<float> dx(gpu_, 2), dgamma(gpu_, 2), dbeta(gpu_, 2);
  OnBoth([&](ExecContext& c, const Kernels& k) {
    k.batch_norm_train_backward(c, x.matrix(c, 1, 2), dy.matrix(c, 1, 2), one.on(c), zero.on(c), one.on(c), one.on(c),
                                EpsilonPlacement::kInsideRoot, dx.matrix(c, 1, 2), dgamma.on(c), dbeta.on(c));
  });
  ExpectSame(dx);
  EXPECT_EQ(dgamma.of_device(), (std::vector<float>{3, 10}));
  EXPECT_EQ(dbeta.of_device(), (std::vector<float>{1, 2}));
}

TEST_F(CudaBatchNormTest, RunningStatistics) {
  TestRandom random(3);
  for (const RunningStatistic kind :
       {RunningStatistic::kVariance, RunningStatistic::kStd, RunningStatistic::kInverseStd}) {
    for (const EpsilonPlacement placement : kPlacements) {
      for (const int64_t n : Counts()) {
        SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(kind) << ", " << n);
        Both<float> mean = Uniform(random, n), variance = Uniform(random, n, 0, 2);
        Both<float> inv_std = Uniform(random, n, 0.1f, 9);
        Both<float> running_mean = Uniform(random, n), running = Uniform(random, n, 0, 2), used(gpu_, n);
        OnBoth([&](ExecContext& c, const Kernels& k) {
          k.batch_norm_update_running(c, kind, 0.1f, mean.on(c), variance.on(c), inv_std.on(c), running_mean.on(c),
                                      running.on(c), n);
          k.batch_norm_running_inverse_std(c, kind, 1e-3f, placement, running.on(c), used.on(c), n);
        });
        ExpectSame(running_mean);
        ExpectSame(running);
        ExpectSame(used);
      }
    }
  }
}

TEST_F(CudaBatchNormTest, EvalAndSigns) {
  TestRandom random(4);
  std::vector<std::pair<int64_t, int64_t>> shapes = Batches();
  shapes.insert(shapes.end(), {{0, 5}, {3, 511}, {3, 512}, {3, 513}, {65, 64}, {31, 96}, {32, 32}, {33, 32}});
  for (const auto& [m, n] : shapes) {
    for (const bool with_window : {false, true}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n);
      std::vector<float> values = Uniform(random, m * (n + 3)).of_host();
      for (size_t i = 0; i < values.size(); i += 11) values[i] = i % 2 == 0 ? NAN : 0.5f;
      Both<float> x(gpu_, values), mean = Uniform(random, n), inv_std = Uniform(random, n, 0.1f, 3);
      Both<float> gamma = Uniform(random, n), beta = Uniform(random, n), y(gpu_, m * (n + 1));
      BothBits bits(gpu_, m, n), window(gpu_, m, n);
      OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        const MatrixView<float> in = x.matrix(c, m, n, n + 3);
        k.batch_norm_eval(c, in, mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c), y.matrix(c, m, n, n + 1));
        k.batch_norm_signs(c, in, mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c), bits.on(c),
                           with_window ? window.on(c) : BitMatrixView{});
        k.batch_norm_eval(c, in, mean.on(c), inv_std.on(c), gamma.on(c), beta.on(c), in);  // y may be x
      });
      ExpectClose(y, 0);  // NaNs may differ in their bits.
      ExpectClose(x, 0);
      ExpectSame(bits);
      ExpectSame(window);
    }
  }
}

// Zero, minus zero and the ends of the window, which random numbers do not meet.
TEST_F(CudaBatchNormTest, SignsAtTheEdges) {
  const float below_one = std::nextafter(1.0f, 0.0f), above_one = std::nextafter(1.0f, 2.0f);
  const std::vector<float> edges = {0.0f,      -0.0f, 1.0f,     -1.0f,     above_one, -above_one,
                                    below_one, NAN,   INFINITY, -INFINITY, -1e-45f};
  const int64_t n = static_cast<int64_t>(edges.size());
  Both<float> x(gpu_, edges), zero(gpu_, std::vector<float>(n, 0.0f)), one(gpu_, std::vector<float>(n, 1.0f));
  Both<float> minus_zero(gpu_, std::vector<float>(n, -0.0f));
  BothBits bits(gpu_, 1, n), window(gpu_, 1, n);
  OnBoth([&](ExecContext& c, const Kernels& k) {
    k.batch_norm_signs(c, x.matrix(c, 1, n), zero.on(c), one.on(c), one.on(c), minus_zero.on(c), bits.on(c),
                       window.on(c));
  });
  ExpectSame(bits);
  ExpectSame(window);
  EXPECT_EQ(bits.words().of_device()[0], 0b101010111u);
  EXPECT_EQ(window.words().of_device()[0], 0b10001001111u);
}

}  // namespace
}  // namespace bitgrad
