#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaLossesTest = CudaTest;

// Batches with more and fewer rows than one block of eight warps, and columns around a warp's 32 lanes.
std::vector<std::pair<int64_t, int64_t>> Logits() {
  std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
  shapes.insert(shapes.end(), {{100, 10}, {8, 31}, {9, 32}, {7, 33}, {1000, 10}, {10000, 2}});
  return shapes;
}

Both<int32_t> RandomLabels(ExecContext& gpu, TestRandom& random, int64_t rows, int64_t classes) {
  std::vector<int32_t> labels(rows);
  for (int32_t& label : labels) label = static_cast<int32_t>(random.Below(static_cast<uint32_t>(classes)));
  return Both<int32_t>(gpu, std::move(labels));
}

TEST_F(CudaLossesTest, SoftmaxCrossEntropy) {
  TestRandom random(1);
  for (const auto& [m, n] : Logits()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    Both<float> x = Uniform(random, m * (n + 3), -20, 20), p(gpu_, m * (n + 1)), loss(gpu_, 1);
    Both<int32_t> labels = RandomLabels(gpu_, random, m, n);
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.softmax_cross_entropy_forward(c, x.matrix(c, m, n, n + 3), labels.on(c), p.matrix(c, m, n, n + 1), loss.on(c));
    });
    // The exp of another mathematics library may differ by 2 ulp, so each exponential and their sum may differ by 4
    // 2^-23 relatively, and two more roundings follow. The loss is log(sum) - x, and the logarithm changes by the sum's
    // relative difference.
    ExpectClose(p, 20 * kRounding);
    ExpectClose(loss, 2 * kRounding, 16 * kRounding);

    // The same probabilities on both sides from here on.
    Both<float> q(gpu_, p.of_host()), dloss(gpu_, std::vector<float>{0.7f}), dx(gpu_, m * (n + 2));
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.softmax_cross_entropy_backward(c, q.matrix(c, m, n, n + 1), labels.on(c), dloss.on(c),
                                       dx.matrix(c, m, n, n + 2));
    });
    ExpectSame(dx);
  }
}

// Logits that are far apart, equal, infinite or NaN.
TEST_F(CudaLossesTest, SoftmaxOfExtremes) {
  const int64_t n = 40;
  std::vector<float> values(7 * n, -3.0f);
  values[1 * n + 35] = 3e38f;
  values[2 * n + 39] = NAN;
  values[3 * n] = NAN;
  values[4 * n + 5] = INFINITY;
  for (int64_t j = 0; j < n; ++j) values[5 * n + j] = -INFINITY;
  values[6 * n + 2] = -INFINITY;
  for (int64_t i = 0; i < 7; ++i) {
    for (const int32_t label : {0, 35}) {
      SCOPED_TRACE(testing::Message() << "row " << i << ", label " << label);
      Both<float> x(gpu_, std::vector<float>(values.begin() + i * n, values.begin() + (i + 1) * n));
      Both<float> p(gpu_, n), loss(gpu_, 1);
      Both<int32_t> labels(gpu_, std::vector<int32_t>{label});
      OnBoth([&](ExecContext& c, const Kernels& k) {
        k.softmax_cross_entropy_forward(c, x.matrix(c, 1, n), labels.on(c), p.matrix(c, 1, n), loss.on(c));
      });
      ExpectClose(p, 20 * kRounding);
      ExpectClose(loss, 2 * kRounding, 16 * kRounding);
    }
  }
}

TEST_F(CudaLossesTest, SquaredHinge) {
  TestRandom random(2);
  for (const auto& [m, n] : Logits()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    std::vector<float> values = Uniform(random, m * (n + 3)).of_host();
    for (size_t i = 0; i < values.size(); i += 7) values[i] = i % 2 == 0 ? 1.0f : -1.0f;  // the loss's kinks
    Both<float> x(gpu_, values), loss(gpu_, 1), dloss(gpu_, std::vector<float>{0.7f}), dx(gpu_, m * (n + 2));
    Both<int32_t> labels = RandomLabels(gpu_, random, m, n);
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      const MatrixView<float> logits = x.matrix(c, m, n, n + 3);
      k.squared_hinge_forward(c, logits, labels.on(c), 0.01f, loss.on(c));
      k.squared_hinge_backward(c, logits, labels.on(c), 0.01f, dloss.on(c), dx.matrix(c, m, n, n + 2));
    });
    // Squares do not cancel, so the error of their sum in double is far below float's precision. What remains is the
    // rounding to float, which may give either neighbour.
    ExpectClose(loss, 2 * kRounding);
    ExpectSame(dx);
  }
}

TEST_F(CudaLossesTest, HingeSaysNaN) {
  Both<float> x(gpu_, {1.0f, NAN, 2.0f}), loss(gpu_, 1), dloss(gpu_, std::vector<float>{1.0f}), dx(gpu_, 3);
  Both<int32_t> labels(gpu_, std::vector<int32_t>{0});
  OnBoth([&](ExecContext& c, const Kernels& k) {
    k.squared_hinge_forward(c, x.matrix(c, 1, 3), labels.on(c), 1, loss.on(c));
    k.squared_hinge_backward(c, x.matrix(c, 1, 3), labels.on(c), 1, dloss.on(c), dx.matrix(c, 1, 3));
  });
  ExpectClose(loss, 0);
  ExpectClose(dx, 0);
}

TEST_F(CudaLossesTest, SquaredError) {
  TestRandom random(3);
  for (const int64_t n : Counts()) {
    SCOPED_TRACE(n);
    Both<float> y = Uniform(random, n), target = Uniform(random, n), loss(gpu_, 1), dy(gpu_, n);
    Both<float> dloss(gpu_, std::vector<float>{0.7f});
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.squared_error_forward(c, y.on(c), target.on(c), n, 0.3f, loss.on(c));
      k.squared_error_backward(c, y.on(c), target.on(c), n, 0.3f, dloss.on(c), dy.on(c));
    });
    ExpectClose(loss, 2 * kRounding);
    ExpectSame(dy);
  }
}

TEST_F(CudaLossesTest, CountsErrors) {
  TestRandom random(4);
  for (const auto& [m, n] : Logits()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    // Few different values, so that rows have equal maxima, of which the first counts.
    std::vector<float> values(m * (n + 3));
    for (float& value : values) value = static_cast<float>(random.Below(4));
    for (size_t i = 5; i < values.size(); i += 101) values[i] = NAN;
    Both<float> x(gpu_, values);
    Both<int32_t> labels = RandomLabels(gpu_, random, m, n);
    Both<int64_t> errors(gpu_, 1);
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.count_errors(c, x.matrix(c, m, n, n + 3), labels.on(c), errors.on(c));
    });
    ExpectSame(errors);
  }
}

// One row at a time, with the label at each position: the first of equal maxima counts, whichever lane has it.
TEST_F(CudaLossesTest, TheFirstOfEqualMaxima) {
  const int64_t n = 70;
  std::vector<std::vector<float>> rows(4, std::vector<float>(n, -1.0f));
  rows[1].assign(n, -INFINITY);
  rows[2][65] = rows[2][34] = rows[2][33] = 5.0f;
  rows[3][1] = 7.0f;
  rows[3][69] = NAN;
  for (const std::vector<float>& row : rows) {
    Both<float> x(gpu_, row);
    for (int32_t label = 0; label < n; ++label) {
      Both<int32_t> labels(gpu_, std::vector<int32_t>{label});
      Both<int64_t> errors(gpu_, 1);
      OnBoth(
          [&](ExecContext& c, const Kernels& k) { k.count_errors(c, x.matrix(c, 1, n), labels.on(c), errors.on(c)); });
      ExpectSame(errors);
    }
  }
}

}  // namespace
}  // namespace bitgrad
