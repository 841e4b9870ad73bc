#include "bitgrad/ops/kernels/quantize.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using QuantizeTest = CpuKernelTest;

// Every quantizer of the list with its default and extreme arguments.
std::vector<Quantizer> Quantizers() {
  std::vector<Quantizer> quantizers;
  for (const QuantizerInfo& info : AllQuantizers()) {
    const auto add = [&](float argument) {
      quantizers.push_back(Quantizer(&info, info.argument == QuantizerArgument::kBits
                                                ? QuantizerArgs{.bits = static_cast<int>(argument)}
                                                : QuantizerArgs{.parameter = argument}));
    };
    add(info.default_argument);
    if (info.argument == QuantizerArgument::kNone) continue;
    add(info.min_argument);
    if (info.argument == QuantizerArgument::kBits) add(info.max_argument);
  }
  return quantizers;
}

// A second thread needs some 32,000 elements. That many only for the quantizers' default arguments.
std::vector<Extents> ShapesFor(const Quantizer& q) {
  std::vector<Extents> shapes = {{0, 3},  {3, 0},   {1, 1},   {2, 3},    {31, 33},
                                 {3, 65}, {27, 63}, {9, 129}, {2, 1025}, {64, 64}};
  if (*ParseQuantizer(q.info().name) == q || q.info().argument == QuantizerArgument::kNone) {
    shapes.push_back({1, 33001});
    shapes.push_back({5, 9001});
  }
  return shapes;
}

constexpr RngStream kRng = {.seed = 8, .purpose = RngPurpose::kQuantizer, .step = 4, .stream = 2};

// One float, one per row, or none, as the quantizer needs.
std::vector<float> StatisticsFor(Random& random, const Quantizer& q, int64_t rows) {
  std::vector<float> statistics(q.statistic() == Statistic::kRowMaxAbs ? rows : 1);
  for (float& statistic : statistics) statistic = random.Uniform(0.2f, 1);
  if (q.statistic() == Statistic::kRowMaxAbs && rows > 1) statistics[1] = 0.0f;
  return statistics;
}

float StatisticOfRow(const Quantizer& q, const std::vector<float>& statistics, int64_t i) {
  return q.statistic() == Statistic::kRowMaxAbs ? statistics[i] : statistics[0];
}

// The expected result: the scalar functions are the specification (tests/ops/quantizers checks them).
struct Expected {
  std::vector<float> codes, surrogates;
};

Expected ExpectedFor(const Quantizer& q, const TestMatrix<float>& x, const std::vector<float>& statistics) {
  Expected expected;
  DispatchQuantizer(q.info(), [&]<typename Q>() {
    for (int64_t i = 0; i < x.rows(); ++i) {
      const float s = StatisticOfRow(q, statistics, i);
      for (int64_t j = 0; j < x.cols(); ++j) {
        const float u = Q::kStochastic ? Uniform(kRng, i * x.cols() + j) : 0.0f;
        expected.codes.push_back(Q::Code(x.at(i, j), q.args(), s, u));
        expected.surrogates.push_back(Q::Surrogate(x.at(i, j), q.args(), s));
      }
    }
  });
  return expected;
}

TEST_P(QuantizeTest, CodesValuesAndGradientsAreTheScalarFunctions) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  for (const Quantizer& q : Quantizers()) {
    for (const auto& [m, n] : ShapesFor(q)) {
      // A matrix without gaps is treated as one long row, unless the quantizer has a statistic per row.
      for (int64_t gap : {0, 3}) {
        if (m * n > 5000 && gap != (m == 1 ? 0 : 3)) continue;  // One way is enough for the large ones.
        SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap);
        const auto x = HardFloats(random, m, n, gap);
        const auto dq = RandomFloats(random, m, n, gap);
        const auto statistics = StatisticsFor(random, q, m);
        const float* statistic = q.statistic() == Statistic::kNone ? nullptr : statistics.data();
        const auto codes = OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
          TestMatrix<float> y(m, n, gap);
          kernels_.quantize_codes(context, q, x.view(), statistic, kRng, y.view());
          y.ExpectGapsUntouched();
          return y.values();
        });
        const auto values = OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
          TestMatrix<float> y(m, n, gap);
          kernels_.quantize_values(context, q, x.view(), statistic, kRng, y.view());
          return y.values();
        });
        const auto dx = OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
          TestMatrix<float> y(m, n, gap);
          kernels_.quantize_backward(context, q, x.view(), statistic, dq.view(), y.view());
          return y.values();
        });
        auto values_in_place = x;
        kernels_.quantize_values(two_, q, values_in_place.view(), statistic, kRng, values_in_place.view());
        auto dx_in_place = dq;
        kernels_.quantize_backward(two_, q, x.view(), statistic, dx_in_place.view(), dx_in_place.view());
        const Expected expected = ExpectedFor(q, x, statistics);
        const int64_t stride = n + gap;
        const auto value = [&, n = n](int64_t i, int64_t j) {
          return expected.codes[i * n + j] * q.scale(StatisticOfRow(q, statistics, i));
        };
        const auto gradient = [&, n = n](int64_t i, int64_t j) { return dq.at(i, j) * expected.surrogates[i * n + j]; };
        ExpectSame(
            m, n, [&](int64_t i, int64_t j) { return codes[i * stride + j]; },
            [&, n = n](int64_t i, int64_t j) { return expected.codes[i * n + j]; });
        ExpectSame(
            m, n, [&](int64_t i, int64_t j) { return values[i * stride + j]; }, value);
        ExpectSame(
            m, n, [&](int64_t i, int64_t j) { return values_in_place.at(i, j); }, value);
        ExpectSame(
            m, n, [&](int64_t i, int64_t j) { return dx[i * stride + j]; }, gradient);
        ExpectSame(
            m, n, [&](int64_t i, int64_t j) { return dx_in_place.at(i, j); }, gradient);
      }
    }
  }
}

TEST_P(QuantizeTest, BitsAreTheSignsOfCodes) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  int binary = 0;
  for (const Quantizer& q : Quantizers()) {
    if (q.encoding().kind != EncodingKind::kBinary) continue;
    ++binary;
    for (const auto& [m, n] : ShapesFor(q)) {
      SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n);
      const auto x = HardFloats(random, m, n, 3);
      const auto statistics = StatisticsFor(random, q, m);
      const Expected expected = ExpectedFor(q, x, statistics);
      OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
        BitMatrix bits = GarbageBits(m, n);
        BitMatrix window = GarbageBits(m, n);
        const bool has_window = q.info().surrogate_is_window;
        kernels_.quantize_bits(context, q, x.view(), statistics.data(), kRng, bits.mutable_view(),
                               has_window ? window.mutable_view() : BitMatrixView());
        ExpectBits(bits, [&](int64_t i, int64_t j) { return expected.codes[i * n + j] > 0.0f; });
        if (has_window) {
          ExpectBits(window, [&](int64_t i, int64_t j) { return expected.surrogates[i * n + j] != 0.0f; });
        }
        return std::vector<uint64_t>(bits.view().words, bits.view().words + bits.byte_size() / 8);
      });
    }
  }
  EXPECT_GE(binary, 6);
}

TEST_P(QuantizeTest, Statistics) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  for (const Quantizer& q : Quantizers()) {
    for (const auto& [m, n] : ShapesFor(q)) {
      SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n);
      const auto x = RandomFloats(random, m, n, 3);
      const bool by_row = q.statistic() == Statistic::kRowMaxAbs;
      const auto statistics = OnOneAndTwoThreads([&, m = m](ExecContext& context) {
        std::vector<float> statistics(by_row ? m : 1, -7.0f);
        kernels_.quantize_statistic(context, q, x.view(), statistics.data());
        return statistics;
      });
      double sum = 0;
      float max = 0;
      for (int64_t i = 0; i < m; ++i) {
        float row_max = 0;
        for (int64_t j = 0; j < n; ++j) {
          sum += std::fabs(x.at(i, j));
          row_max = std::max(row_max, std::fabs(x.at(i, j)));
        }
        if (by_row) {
          ASSERT_EQ(statistics[i], row_max);
        }
        max = std::max(max, row_max);
      }
      switch (q.statistic()) {
        case Statistic::kNone: EXPECT_EQ(statistics[0], -7.0f); break;  // Not written.
        case Statistic::kMeanAbs: {
          const double mean = m * n == 0 ? 0 : sum / static_cast<double>(m * n);
          EXPECT_NEAR(statistics[0], mean, 2 * kEpsilon * mean);
          break;
        }
        case Statistic::kMaxAbsTanh: EXPECT_EQ(statistics[0], std::tanh(max)); break;
        case Statistic::kRowMaxAbs: break;
      }
    }
  }
}

// The result does not depend on where rows lie in memory.
TEST_P(QuantizeTest, RowsOrColumnsAsInt8AreTheScalarFunction) {
  Random random(11);
  BITGRAD_TRACE_SEED(random);
  const RngStream rng = {.seed = 3, .purpose = RngPurpose::kQuantizer, .step = 2, .stream = 1};
  for (const auto& [m, n] : MatrixShapes()) {
    for (bool transpose : {false, true}) {
      for (int bits : {2, 8}) {
        const Quantizer q = StochasticRound(bits);
        const int64_t rows = transpose ? n : m, cols = transpose ? m : n;
        SCOPED_TRACE(testing::Message() << m << " x " << n << (transpose ? " transposed, " : ", ") << bits << " bits");
        const auto x = RandomFloats(random, m, n, 3);
        const auto at = [&](int64_t i, int64_t j) { return transpose ? x.at(j, i) : x.at(i, j); };
        std::vector<float> scale(rows);
        const auto codes = OnOneAndTwoThreads([&](ExecContext& context) {
          TestMatrix<int8_t> codes(rows, cols, 5);
          kernels_.quantize_rows_s8(context, q, transpose, x.view(), rng, codes.view(), scale.data());
          codes.ExpectGapsUntouched();
          return codes.values();
        });
        for (int64_t i = 0; i < rows; ++i) {
          float max = 0;
          for (int64_t j = 0; j < cols; ++j) max = std::max(max, std::fabs(at(i, j)));
          ASSERT_EQ(scale[i], q.scale(max));
          for (int64_t j = 0; j < cols; ++j) {
            const float code = StochasticRoundQuantizer::Code(at(i, j), q.args(), max, Uniform(rng, i * cols + j));
            ASSERT_EQ(codes[i * (cols + 5) + j], code) << i << ", " << j;
          }
        }
      }
    }
  }
}

// A NaN has no code, so the row's scale is NaN.
TEST_P(QuantizeTest, NanInARowIsItsScale) {
  TestMatrix<float> x(3, 40);
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 40; ++j) x.view().at(i, j) = i == 1 && j == 37 ? std::nanf("") : 1.0f;
  }
  TestMatrix<int8_t> codes(3, 40);
  std::vector<float> scale(3);
  kernels_.quantize_rows_s8(one_, StochasticRound(8), false, x.view(), {}, codes.view(), scale.data());
  EXPECT_EQ(scale[0], 1.0f / 127);
  EXPECT_TRUE(std::isnan(scale[1]));
  EXPECT_EQ(scale[2], 1.0f / 127);
}

TEST_P(QuantizeTest, MeanAbsDependsOnShapeAlone) {
  Random random(4);
  BITGRAD_TRACE_SEED(random);
  const auto gapless = RandomFloats(random, 129, 257);
  TestMatrix<float> gaps(129, 257, 5);
  for (int64_t i = 0; i < 129; ++i) {
    for (int64_t j = 0; j < 257; ++j) gaps.view().at(i, j) = gapless.at(i, j);
  }
  float a = 0, b = 0;
  kernels_.quantize_statistic(one_, DorefaWeight(1), gapless.view(), &a);
  kernels_.quantize_statistic(two_, DorefaWeight(1), gaps.view(), &b);
  EXPECT_EQ(a, b);
}

BITGRAD_INSTANTIATE_FOR_TARGETS(QuantizeTest);

}  // namespace
}  // namespace bitgrad
