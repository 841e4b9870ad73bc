// The numbers that quantizers read beside x, and the gradients of those that are learned.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/kernels/quantize.h"
#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/ops/kernels/quantize_testing.h"

namespace bitgrad {
namespace {

// The mean and the largest magnitude of each group of elements that share a number: the matrix, or a row.
struct Magnitudes {
  std::vector<double> mean;
  std::vector<float> max;
};

Magnitudes MagnitudesOf(const Quantizer& q, const std::vector<float>& x, int64_t m, int64_t n, int64_t stride) {
  const bool per_row = q.granularity() == Granularity::kRow;
  Magnitudes all = {std::vector<double>(NumberCount(q, m)), std::vector<float>(NumberCount(q, m))};
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const float magnitude = std::fabs(x[i * stride + j]);
      all.mean[per_row ? i : 0] += magnitude;
      if (magnitude > all.max[per_row ? i : 0]) all.max[per_row ? i : 0] = magnitude;
    }
  }
  const int64_t count = per_row ? n : m * n;
  for (double& mean : all.mean) mean = count == 0 ? 0 : mean / static_cast<double>(count);
  return all;
}

// What `roundings` roundings to float may lose of a number of this size, be it less than the least normal one.
double Roundings(int roundings, double size) { return roundings * std::max(kRoundingError * size, 0x1p-150); }

class QuantizeNumbersTest : public QuantizeKernelTest {};

TEST_P(QuantizeNumbersTest, Statistics) {
  Random random(3);
  for (const Quantizer& q : Quantizers()) {
    auto shapes = FewShapesFor(q);
    shapes.push_back({100, 1000});
    for (const auto& shape : shapes) {
      const int64_t m = shape.first, n = shape.second;
      for (const int64_t gap : {0, 3}) {
        SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap);
        const int64_t stride = n + gap;
        // A mean of magnitudes becomes NaN, a maximum ignores NaN.
        const Array<float> x(*this, ValuesWithEdges(random, m * stride, q.statistic() != Statistic::kMeanAbs));
        const Array<float> statistic(*this, NumberCount(q, m));
        Run([&](ExecContext& c, const Kernels& k) {
          k.quantize_statistic(c, q, x.matrix(c, m, n, stride), statistic.on(c));
        });
        const Magnitudes expected = MagnitudesOf(q, x.initial(), m, n, stride);
        switch (q.statistic()) {
          case Statistic::kNone:
            ExpectValues(statistic, 0, [](int64_t) { return 0.0f; });
            break;  // Not written.
          // The sums are in double, so that what counts is the rounding of the mean to float.
          case Statistic::kMeanAbs:
            ExpectNear(
                statistic, statistic.count(), [&](int64_t i) { return expected.mean[i]; },
                [&](int64_t i) { return Roundings(2, expected.mean[i]); });
            break;
          case Statistic::kMaxAbsTanh: ExpectValues(statistic, [&](int64_t i) { return Tanh(expected.max[i]); }); break;
          case Statistic::kMaxAbs: ExpectValues(statistic, [&](int64_t i) { return expected.max[i]; }); break;
        }
      }
    }
  }
}

TEST_P(QuantizeNumbersTest, MeansSayNaN) {
  const Array<float> x(*this, {1.0f, NAN, 2.0f}), mean(*this, 1), of_row(*this, 1), step(*this, 1), scale(*this, 1);
  Run([&](ExecContext& c, const Kernels& k) {
    k.quantize_statistic(c, DorefaWeight(1), x.matrix(c, 1, 3, 3), mean.on(c));
    k.quantize_statistic(c, Xnor(), x.matrix(c, 1, 3, 3), of_row.on(c));
    k.quantize_initial_value(c, Lsq(2), QuantizerNumber::kVariable, x.matrix(c, 1, 3, 3), step.on(c));
    k.quantize_initial_value(c, Sign().WithLearnedScale(), QuantizerNumber::kScale, x.matrix(c, 1, 3, 3), scale.on(c));
  });
  for (const Array<float>* array : {&mean, &of_row, &step, &scale}) EXPECT_TRUE(std::isnan(array->values()[0]));
}

// The mean does not depend on where rows lie in memory, nor does the gradient of a variable.
TEST_P(QuantizeNumbersTest, SumsDependOnShapeAlone) {
  Random random(4);
  constexpr int64_t kRows = 129, kCols = 257, kStride = kCols + 5;
  const Array<float> gapless(*this, RandomVector(random, kRows * kCols)),
      dq(*this, RandomVector(random, kRows * kStride));
  std::vector<float> values(kRows * kStride, 7.0f), gradients(kRows * kCols);
  for (int64_t i = 0; i < kRows; ++i) {
    std::copy_n(gapless.initial().begin() + i * kCols, kCols, values.begin() + i * kStride);
    std::copy_n(dq.initial().begin() + i * kStride, kCols, gradients.begin() + i * kCols);
  }
  const Array<float> gaps(*this, values), gapless_dq(*this, gradients), dx(*this, kRows * kCols), means(*this, 2),
      sums(*this, 2);
  const Quantizer q = Lsq(3);
  const Array<float> step(*this, std::vector<float>{0.3f});
  Run([&](ExecContext& c, const Kernels& k) {
    const auto dense = [&](const Array<float>& a) { return a.matrix(c, kRows, kCols, kCols); };
    const auto sparse = [&](const Array<float>& a) { return a.matrix(c, kRows, kCols, kStride); };
    k.quantize_statistic(c, DorefaWeight(1), dense(gapless), means.on(c));
    k.quantize_statistic(c, DorefaWeight(1), sparse(gaps), means.on(c) + 1);
    const QuantizerOperands operands = {.variable = step.on(c)};
    k.quantize_backward(c, q, false, dense(gapless), {}, operands, kRng, dense(gapless_dq), dense(dx), {sums.on(c)});
    k.quantize_backward(c, q, false, sparse(gaps), {}, operands, kRng, sparse(dq), dense(dx), {sums.on(c) + 1});
  });
  EXPECT_EQ(means.values()[0], means.values()[1]);
  EXPECT_EQ(sums.values()[0], sums.values()[1]);
}

TEST_P(QuantizeNumbersTest, ScalesAreOperandByDivisor) {
  Random random(5);
  for (const Quantizer& q : Quantizers()) {
    for (const int64_t rows : {1, 2, 300}) {
      SCOPED_TRACE(testing::Message() << q.ToString() << ", " << rows << " rows");
      const NumbersOf numbers(*this, random, q, rows);
      const Array<float> scale(*this, rows + 1);
      Run([&](ExecContext& c, const Kernels& k) { k.quantize_scale(c, q, numbers.on(c), rows, scale.on(c)); });
      ExpectValues(scale, NumberCount(q, rows), [&](int64_t i) { return numbers.scale(i); });
    }
  }
}

TEST_P(QuantizeNumbersTest, InitialValues) {
  Random random(6);
  for (const Quantizer& q : Quantizers()) {
    for (const auto& shape : FewShapesFor(q)) {
      const int64_t m = shape.first, n = shape.second, stride = n + 3;
      SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n);
      std::vector<float> values = ValuesWithEdges(random, m * stride, false);
      if (m > 1) std::fill_n(values.begin() + stride, n, 0.0f);  // A row of zeros has no scale of its own.
      const Array<float> x(*this, values), variable(*this, NumberCount(q, m)), scale(*this, NumberCount(q, m));
      Run([&](ExecContext& c, const Kernels& k) {
        const auto view = x.matrix(c, m, n, stride);
        if (q.has_variable()) {
          k.quantize_initial_value(c, q, QuantizerNumber::kVariable, view, variable.on(c));
        }
        k.quantize_initial_value(c, q, QuantizerNumber::kScale, view, scale.on(c));
      });
      const Magnitudes expected = MagnitudesOf(q, values, m, n, stride);
      const auto initial_scale = [&](int64_t i) { return expected.mean[i] == 0 ? 1 : expected.mean[i]; };
      ExpectNear(scale, scale.count(), initial_scale, [&](int64_t i) { return Roundings(2, initial_scale(i)); });
      if (!q.has_variable()) continue;
      const auto initial = [&](int64_t i) {
        return q.variable().initial(q.args(), static_cast<float>(expected.mean[i]), expected.max[i]);
      };
      ExpectNear(variable, variable.count(), initial, [&](int64_t i) { return Roundings(6, initial(i)); });
    }
  }
}

// Of finite numbers of one size: with an infinity in it a sum says nothing.
TEST_P(QuantizeNumbersTest, GradientsOfVariablesAndScales) {
  Random random(7);
  for (const Quantizer& q : Quantizers()) {
    for (const auto& shape : FewShapesFor(q)) {
      const int64_t m = shape.first, n = shape.second;
      for (const int64_t gap : {0, 3}) {
        const int64_t stride = n + gap, groups = NumberCount(q, m);
        const NumbersOf numbers(*this, random, q, m);
        const Array<float> x(*this, ValuesWithEdges(random, m * stride, false)),
            dq(*this, RandomVector(random, m * stride));
        // Both in one call, which writes dx over dq.
        const bool has_codes = q.encoding().kind != EncodingKind::kFloat;
        const Array<float> of_variable(*this, groups), of_scale(*this, groups), dx(*this, dq.initial());
        Run([&](ExecContext& c, const Kernels& k) {
          const auto gradient = dx.matrix(c, m, n, stride);
          k.quantize_backward(c, q, /*pass_through=*/false, x.matrix(c, m, n, stride), {}, numbers.on(c), kRng,
                              gradient, gradient,
                              {.variable = q.has_variable() ? of_variable.on(c) : nullptr,
                               .scale = has_codes ? of_scale.on(c) : nullptr});
        });
        const Expected expected = ExpectedFor(q, x.initial(), m, n, stride, numbers);
        // Where codes are binary, their bits give the same sum.
        if (q.encoding().kind == EncodingKind::kBinary && !(UsesTanhOrExp(q) && !on_cpu())) {
          const Array<float> of_bits(*this, groups), dx_of_bits(*this, m * stride);
          const BitArray signs(*this, m, n);
          Run([&](ExecContext& c, const Kernels& k) {
            const auto x_view = x.matrix(c, m, n, stride);
            k.quantize_bits(c, q, x_view, numbers.on(c), kRng, signs.on(c), {});
            k.quantize_backward(c, q, /*pass_through=*/false, x_view, signs.on(c), numbers.on(c), kRng,
                                dq.matrix(c, m, n, stride), dx_of_bits.matrix(c, m, n, stride),
                                {.scale = of_bits.on(c)});
          });
          ExpectValues(of_bits, groups, [&](int64_t g) { return of_scale.values()[g]; });
        }
        if (on_cpu() || !UsesTanhOrExp(q)) {
          ExpectMatrix(dx, m, n, stride, [&](int64_t i, int64_t j) {
            return dq.initial(i * stride + j) * expected.surrogates[i * n + j] * numbers.gradient_scale(i);
          });
        }
        for (const bool is_scale : {false, true}) {
          if (is_scale ? !has_codes : !q.has_variable()) continue;
          SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap
                                          << (is_scale ? ", scale" : ", variable"));
          const Array<float>& gradient = is_scale ? of_scale : of_variable;
          std::vector<double> sums(groups), sizes(groups), values(groups);
          for (int64_t i = 0; i < m; ++i) {
            const int64_t g = groups == 1 ? 0 : i;
            const double scale = is_scale ? 1.0 / q.scale_divisor() : numbers.gradient_scale(i);
            for (int64_t j = 0; j < n; ++j) {
              const float factor = (is_scale ? expected.codes : expected.variable_surrogates)[i * n + j];
              const double term = scale * dq.initial(i * stride + j) * factor;
              sums[g] += term;
              sizes[g] += std::fabs(term);
              values[g] += std::fabs(scale * dq.initial(i * stride + j));
            }
          }
          const int64_t count = groups == m && q.granularity() == Granularity::kRow ? n : m * n;
          const double factor = is_scale ? 1 : q.variable().gradient_factor(q.args(), count);
          // Roundings of the sum in double, and of the result. Another exp or tanh changes each factor by little; a
          // code changes by a step where it is near to a tie, as few do.
          const double of_function = on_cpu() || !UsesTanhOrExp(q) ? 0 : (is_scale ? 1e-3 : 16 * kTranscendental);
          ExpectNear(
              gradient, groups, [&](int64_t g) { return m * n == 0 ? 0.0 : factor * sums[g]; },
              [&](int64_t g) {
                return Roundings(2, factor * std::fabs(sums[g])) +
                       factor * (0x1p-52 * static_cast<double>(m * n) * sizes[g] + of_function * values[g]);
              });
        }
      }
    }
  }
}

// XNOR-Net's weights: dw = dq mean + gradient of the mean * sign(w) / n.
TEST_P(QuantizeNumbersTest, GradientsThroughTheMean) {
  Random random(8);
  for (const Quantizer& q : {Xnor(), Sign().WithMeanScale(), DorefaWeight(1)}) {
    for (const auto& shape : FewShapesFor(q)) {
      const int64_t m = shape.first, n = shape.second;
      for (const int64_t gap : {0, 3}) {
        SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap);
        const int64_t stride = n + gap, groups = NumberCount(q, m);
        const Array<float> x(*this, HardVector(random, m * stride)), dx(*this, RandomVector(random, m * stride)),
            gradient(*this, RandomVector(random, groups));
        Run([&](ExecContext& c, const Kernels& k) {
          k.quantize_statistic_backward(c, q, x.matrix(c, m, n, stride), gradient.on(c), dx.matrix(c, m, n, stride));
        });
        const bool per_row = q.granularity() == Granularity::kRow;
        const float count = static_cast<float>(per_row ? n : m * n);
        ExpectMatrix(dx, m, n, stride, [&](int64_t i, int64_t j) {
          const float part = gradient.initial(per_row ? i : 0) / count;
          return dx.initial(i * stride + j) + (x.initial(i * stride + j) >= 0 ? part : -part);
        });
      }
    }
  }
}

// The derivatives of the loss sum r q(w), q(w) = mean|w| sign(w), by central differences of w inside its sign.
TEST_P(QuantizeNumbersTest, XnorIsTheDerivative) {
  Random random(9);
  constexpr int64_t kRows = 3, kCols = 17;
  std::vector<float> w = RandomVector(random, kRows * kCols), r = RandomVector(random, kRows * kCols);
  for (float& value : w) value += value >= 0 ? 0.1f : -0.1f;
  const Array<float> x(*this, w), dq(*this, r), mean(*this, kRows), gradient(*this, kRows), dx(*this, kRows * kCols),
      passed(*this, kRows * kCols);
  const Quantizer q = Xnor();
  Run([&](ExecContext& c, const Kernels& k) {
    const auto view = [&](const Array<float>& a) { return a.matrix(c, kRows, kCols, kCols); };
    k.quantize_statistic(c, q, view(x), mean.on(c));
    const QuantizerOperands operands = {.statistic = mean.on(c)};
    // sign does not change, so that the quotient below sees the mean alone: what passes through sign is left out.
    k.fill_f32(c, 0.0f, dx.on(c), kRows * kCols);
    k.quantize_backward(c, q, true, view(x), {}, operands, kRng, view(dq), view(passed), {.scale = gradient.on(c)});
    k.quantize_statistic_backward(c, q, view(x), gradient.on(c), view(dx));
  });
  const auto loss = [&](int64_t i, int64_t at, double change) {
    double sum_abs = 0, products = 0;
    for (int64_t j = 0; j < kCols; ++j) {
      const double value = w[i * kCols + j] + (j == at ? change : 0);
      sum_abs += std::fabs(value);
      products += r[i * kCols + j] * (value >= 0 ? 1 : -1);
    }
    return sum_abs / kCols * products;
  };
  const double h = 1e-3;
  ExpectMatrixNear(
      dx, kRows, kCols, kCols, [&](int64_t i, int64_t j) { return (loss(i, j, h) - loss(i, j, -h)) / (2 * h); },
      [](int64_t, int64_t) { return 1e-6; });
}

TEST_P(QuantizeNumbersTest, TrackedStatistics) {
  Random random(10);
  for (const int64_t count : Counts()) {
    const Array<float> statistic(*this, RandomVector(random, count)), running(*this, RandomVector(random, count));
    Run([&](ExecContext& c, const Kernels& k) { k.track_statistic(c, 0.1f, statistic.on(c), count, running.on(c)); });
    ExpectValues(running,
                 [&](int64_t i) { return running.initial(i) + 0.1f * (statistic.initial(i) - running.initial(i)); });
  }
}

TEST_P(QuantizeNumbersTest, CombinedScales) {
  Random random(11);
  for (const int64_t count : Counts()) {
    const Array<float> a(*this, RandomVector(random, count + 1)), b(*this, RandomVector(random, count + 1));
    const Array<float> both(*this, count + 2), uniform(*this, count + 2), constant(*this, count + 2);
    Run([&](ExecContext& c, const Kernels& k) {
      const ScaleView one = {0.7f, a.on(c), 1}, other = {1.3f, b.on(c), 1};
      k.combine_scales(c, one, other, count, both.on(c));
      k.combine_scales(c, ScaleView(0.7f, a.on(c), 0), other, count, uniform.on(c));
      k.combine_scales(c, ScaleView(0.25f), other, count, constant.on(c));
    });
    const auto of_b = [&](int64_t i) { return 1.3f * b.initial(i); };
    ExpectValues(both, count, [&](int64_t i) { return (0.7f * a.initial(i)) * of_b(i); });
    ExpectValues(uniform, count, [&](int64_t i) { return (0.7f * a.initial(0)) * of_b(i); });
    ExpectValues(constant, count, [&](int64_t i) { return 0.25f * of_b(i); });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(QuantizeNumbersTest);

}  // namespace
}  // namespace bitgrad
