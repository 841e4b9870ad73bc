#include "bitgrad/tests/reference/losses.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

// max(0, 1 - t y) in float; NaN where y is NaN.
float Hinge(float target, float y) {
  const float slack = 1.0f - target * y;
  return slack <= 0.0f ? 0.0f : slack;
}

float Target(int64_t j, int32_t label) { return j == label ? 1.0f : -1.0f; }

class LossesTest : public KernelTest {
 protected:
  // Shapes() without those that have no columns, because a label needs a class; and batches with more and fewer rows
  // than one block of eight warps, with columns around a warp's 32 lanes.
  std::vector<std::pair<int64_t, int64_t>> Logits() const {
    std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
    std::erase_if(shapes, [](const auto& shape) { return shape.second == 0; });
    shapes.insert(shapes.end(),
                  {{1, 33}, {3, 1}, {33, 65}, {2, 1000}, {100, 10}, {8, 31}, {9, 32}, {7, 33}, {1000, 10}, {10000, 2}});
    if (!GetParam().slow) shapes.push_back({9, 10000});
    return shapes;
  }

  static std::vector<int32_t> RandomLabels(Random& random, int64_t rows, int64_t classes) {
    std::vector<int32_t> labels(rows);
    for (int32_t& label : labels) label = static_cast<int32_t>(random.Below(static_cast<uint32_t>(classes)));
    return labels;
  }

  // The loss and the gradient of logits [m, n] with `stride` elements from row to row.
  void CheckSoftmax(int64_t m, int64_t n, int64_t stride, const std::vector<float>& logits,
                    const std::vector<int32_t>& label_values) {
    const float dloss_value = 0.7f;
    const int64_t dx_stride = n + 2;
    const Array<float> x(*this, logits), loss(*this, 1), dx(*this, m * dx_stride);
    const Array<SoftmaxRow> rows(*this, m);
    const Array<float> dloss(*this, std::vector<float>{dloss_value});
    const Array<int32_t> labels(*this, label_values);
    Run([&](ExecContext& c, const Kernels& k) {
      k.softmax_cross_entropy_forward(c, x.matrix(c, m, n, stride), labels.on(c), rows.on(c), loss.on(c));
      k.softmax_cross_entropy_backward(c, x.matrix(c, m, n, stride), labels.on(c), rows.on(c), dloss.on(c),
                                       dx.matrix(c, m, n, dx_stride));
    });

    // The expected values start from x - max as float rounds it. The exponential of a float is good to one unit in the
    // last place, two roundings, and so is the sum of exponentials. Their quotient rounds twice more. Where it
    // underflows, each of its last steps may lose a unit of the smallest float.
    std::vector<double> probabilities(m * n);
    double expected_loss = 0;
    for (int64_t i = 0; i < m; ++i) {
      const float* const row = logits.data() + i * stride;
      float max = row[0];
      for (int64_t j = 1; j < n; ++j) max = std::max(max, row[j]);
      std::vector<float> shifted(n);
      for (int64_t j = 0; j < n; ++j) shifted[j] = row[j] - max;
      const std::vector<double> softmax = reference::Softmax({shifted.data(), 1, n}, 0);
      std::copy(softmax.begin(), softmax.end(), probabilities.begin() + i * n);
      double total = 0;
      for (const float value : shifted) total += std::exp(static_cast<double>(value));
      expected_loss += (std::log(total) - (static_cast<double>(row[label_values[i]]) - max)) / static_cast<double>(m);
    }
    // The logarithm changes by the sum's relative error. The mean over the rows is in double, and rounds once to float.
    ExpectNear(
        loss, 1, [&](int64_t) { return expected_loss; },
        [&](int64_t) {
          return 4 * kRoundingError + (kRoundingError + static_cast<double>(m + 2) * 0x1p-52) * expected_loss;
        });
    // Two more roundings: of the factor, and of the product with it; and the label's difference to 1.
    const double factor = dloss_value / static_cast<double>(m);
    const auto is_label = [&](int64_t i, int64_t j) { return j == label_values[i]; };
    ExpectMatrixNear(
        dx, m, n, dx_stride,
        [&](int64_t i, int64_t j) { return factor * (probabilities[i * n + j] - (is_label(i, j) ? 1.0 : 0.0)); },
        [&](int64_t i, int64_t j) {
          const double p = probabilities[i * n + j];
          return factor * (8 * kRoundingError * p + 4 * kRoundingError * std::fabs(p - is_label(i, j))) + 8 * 0x1p-149;
        });
  }

  // The loss and the gradient of logits [m, n] with `stride` elements from row to row.
  void CheckSquaredHinge(int64_t m, int64_t n, int64_t stride, const std::vector<float>& logits,
                         const std::vector<int32_t>& label_values, float scale, float dloss_value) {
    const int64_t dx_stride = n + 2;
    const Array<float> x(*this, logits), loss(*this, 1), dx(*this, m * dx_stride);
    const Array<float> dloss(*this, std::vector<float>{dloss_value});
    const Array<int32_t> labels(*this, label_values);
    Run([&](ExecContext& c, const Kernels& k) {
      k.squared_hinge_forward(c, x.matrix(c, m, n, stride), labels.on(c), scale, loss.on(c));
      k.squared_hinge_backward(c, x.matrix(c, m, n, stride), labels.on(c), scale, dloss.on(c),
                               dx.matrix(c, m, n, dx_stride));
    });
    // The slack is a float; squares, which do not cancel, and their sum are in double, and the loss rounds once.
    double sum = 0;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const double hinge = Hinge(Target(j, label_values[i]), logits[i * stride + j]);
        sum += hinge * hinge;
      }
    }
    const double in_double = kRoundingError + static_cast<double>(m * n + 2) * 0x1p-52;
    ExpectNear(
        loss, 1, [&](int64_t) { return scale * sum; }, [&](int64_t) { return in_double * scale * sum; });
    if (!std::isnan(sum)) {
      // The slack rounds once, and its square doubles the relative error.
      const double exact = reference::SquaredHinge({logits.data(), m, n, stride}, label_values.data(), scale);
      EXPECT_NEAR(loss.values()[0], exact, (in_double + 2.001 * kRoundingError) * exact);
    }
    ExpectMatrix(dx, m, n, dx_stride, [&](int64_t i, int64_t j) {
      const float target = Target(j, label_values[i]);
      return dloss_value * scale * -2.0f * target * Hinge(target, logits[i * stride + j]);
    });
  }
};

TEST_P(LossesTest, SoftmaxCrossEntropy) {
  Random random(1);
  for (const auto& [m, n] : Logits()) {
    for (const float range : {8.0f, 20.0f}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n << " up to " << range);
      CheckSoftmax(m, n, n + 3, RandomVector(random, m * (n + 3), -range, range), RandomLabels(random, m, n));
    }
  }
}

// The loss with nothing taken from the kernel: x - max rounds once, relative to at most 16, and exp turns that into a
// relative error; exp itself and the final rounding add four.
TEST_P(LossesTest, CrossEntropyIsThatOfTheFormula) {
  Random random(5);
  for (const auto& [m, n] : Logits()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const Array<float> x(*this, RandomVector(random, m * n, -8, 8)), loss(*this, 1);
    const Array<SoftmaxRow> rows(*this, m);
    const Array<int32_t> labels(*this, RandomLabels(random, m, n));
    Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.softmax_cross_entropy_forward(c, x.matrix(c, m, n, n), labels.on(c), rows.on(c), loss.on(c));
    });
    const double expected = reference::CrossEntropy({x.initial().data(), m, n}, labels.initial().data());
    EXPECT_NEAR(loss.values()[0], expected, (16 + 4) * kRoundingError + kRoundingError * expected);
  }
}

// Logits that are far apart, equal, infinite or NaN.
TEST_P(LossesTest, SoftmaxOfExtremes) {
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
      CheckSoftmax(1, n, n, std::vector<float>(values.begin() + i * n, values.begin() + (i + 1) * n), {label});
    }
  }
  const Array<float> x(*this, values), loss(*this, 1);
  const Array<SoftmaxRow> rows(*this, 7);
  const Array<int32_t> labels(*this, std::vector<int32_t>(7, 0));
  Run([&](ExecContext& c, const Kernels& k) {
    k.softmax_cross_entropy_forward(c, x.matrix(c, 7, n, n), labels.on(c), rows.on(c), loss.on(c));
  });
  EXPECT_TRUE(std::isnan(loss.values()[0])) << "a NaN is hidden among other rows";
}

TEST_P(LossesTest, CrossEntropyOfExtremeLogits) {
  const std::vector<float> values = {1e30f, -1e30f, 0.0f, 0.0f, 1000.0f, 900.0f};
  const std::vector<int32_t> label_values = {0, 1, 1};
  CheckSoftmax(3, 2, 2, values, label_values);
  const Array<float> x(*this, values), loss(*this, 1);
  const Array<SoftmaxRow> rows(*this, 3);
  const Array<int32_t> labels(*this, label_values);
  Run([&](ExecContext& c, const Kernels& k) {
    k.softmax_cross_entropy_forward(c, x.matrix(c, 3, 2, 2), labels.on(c), rows.on(c), loss.on(c));
  });
  EXPECT_FLOAT_EQ(loss.values()[0], static_cast<float>((0.0 + std::log(2.0) + 100.0) / 3));
  EXPECT_EQ(rows.values()[0].max, 1e30f);
  EXPECT_EQ(rows.values()[0].scale, 1.0f);
  CheckSoftmax(1, 2, 2, {NAN, 1.0f}, {1});
}

TEST_P(LossesTest, SquaredHinge) {
  Random random(2);
  for (const auto& [m, n] : Logits()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    std::vector<float> values = RandomVector(random, m * (n + 3), -3, 3);
    for (size_t i = 0; i < values.size(); i += 7) values[i] = i % 2 == 0 ? 1.0f : -1.0f;  // the loss's kinks
    const std::vector<int32_t> labels = RandomLabels(random, m, n);
    CheckSquaredHinge(m, n, n + 3, values, labels, 1.0f / static_cast<float>(std::max<int64_t>(1, m)), 0.7f);
    CheckSquaredHinge(m, n, n + 3, values, labels, 0.01f, 0.7f);
  }
}

TEST_P(LossesTest, SquaredHingeSaysNaN) {
  CheckSquaredHinge(1, 3, 3, {1.0f, NAN, 2.0f}, {0}, 1, 1);
  CheckSquaredHinge(1, 2, 2, {NAN, 1.0f}, {1}, 1, 1);
}

TEST_P(LossesTest, SquaredError) {
  Random random(3);
  for (const int64_t n : Counts()) {
    for (const float scale : {0.25f, 0.3f}) {
      SCOPED_TRACE(testing::Message() << n << ", scale " << scale);
      const Array<float> y(*this, RandomVector(random, n)), target(*this, RandomVector(random, n));
      const Array<float> loss(*this, 1), dy(*this, n + 1), dloss(*this, std::vector<float>{0.7f});
      Run([&](ExecContext& c, const Kernels& k) {
        k.squared_error_forward(c, y.on(c), target.on(c), n, scale, loss.on(c));
        k.squared_error_backward(c, y.on(c), target.on(c), n, scale, dloss.on(c), dy.on(c));
      });
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += std::pow(static_cast<double>(y.initial(i)) - target.initial(i), 2);
      // Differences, squares and sums are in double; the loss rounds once.
      ExpectNear(
          loss, 1, [&](int64_t) { return scale * sum; },
          [&](int64_t) { return (kRoundingError + static_cast<double>(n + 2) * 0x1p-52) * scale * sum; });
      ExpectValues(dy, n, [&](int64_t i) { return 0.7f * scale * 2.0f * (y.initial(i) - target.initial(i)); });
    }
  }
}

TEST_P(LossesTest, CountsErrors) {
  Random random(4);
  for (const auto& [m, n] : Logits()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const int64_t stride = n + 3;
    // Few different values, so that rows have equal maxima, of which the first counts; and some NaNs.
    std::vector<float> values = RandomVector(random, m * stride, -3, 3);
    for (float& value : values) value = random.Below(100) == 0 ? NAN : std::round(value);
    std::vector<int32_t> label_values = RandomLabels(random, m, n);
    for (int64_t i = 0; i < m; ++i) {
      if (random.Below(2) == 0) continue;
      const float* const row = values.data() + i * stride;
      label_values[i] = static_cast<int32_t>(std::max_element(row, row + n) - row);
    }
    const Array<float> x(*this, values);
    const Array<int32_t> labels(*this, label_values);
    const Array<int64_t> errors(*this, 1);
    Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.count_errors(c, x.matrix(c, m, n, stride), labels.on(c), errors.on(c));
    });
    EXPECT_EQ(errors.values()[0], reference::CountErrors({values.data(), m, n, stride}, label_values.data()));
  }
}

// One row at a time, with the label at each position: the first of equal maxima counts, whichever lane has it.
TEST_P(LossesTest, TheFirstOfEqualMaxima) {
  const int64_t n = 70;
  std::vector<std::vector<float>> rows(4, std::vector<float>(n, -1.0f));
  rows[1].assign(n, -INFINITY);
  rows[2][65] = rows[2][34] = rows[2][33] = 5.0f;
  rows[3][1] = 7.0f;
  rows[3][69] = NAN;
  for (const std::vector<float>& row : rows) {
    const Array<float> x(*this, row);
    for (int32_t label = 0; label < n; ++label) {
      const Array<int32_t> labels(*this, std::vector<int32_t>{label});
      const Array<int64_t> errors(*this, 1);
      Run([&](ExecContext& c, const Kernels& k) {
        k.count_errors(c, x.matrix(c, 1, n, n), labels.on(c), errors.on(c));
      });
      EXPECT_EQ(errors.values()[0], reference::CountErrors({row.data(), 1, n}, &label)) << "label " << label;
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(LossesTest);

}  // namespace
}  // namespace bitgrad
