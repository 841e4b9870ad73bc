#include "bitgrad/ops/kernels/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

constexpr RngStream kRng = {.seed = 0x123456789abcdef, .purpose = RngPurpose::kQuantizer, .step = 5, .stream = 9};

// Every quantizer of the list with its default and extreme arguments, and with some between them.
std::vector<Quantizer> Quantizers() {
  std::vector<Quantizer> quantizers;
  for (const QuantizerInfo& info : AllQuantizers()) {
    const auto add = [&](float argument) {
      if (argument < info.min_argument || argument > info.max_argument) return;
      const Quantizer q(&info, info.argument == QuantizerArgument::kBits
                                   ? QuantizerArgs{.bits = static_cast<int>(argument)}
                                   : QuantizerArgs{.parameter = argument});
      if (std::find(quantizers.begin(), quantizers.end(), q) == quantizers.end()) quantizers.push_back(q);
    };
    switch (info.argument) {
      case QuantizerArgument::kNone: quantizers.push_back(Quantizer(&info, {})); break;
      case QuantizerArgument::kBits:
        for (const float bits : {info.default_argument, info.min_argument, info.max_argument, 1.0f, 2.0f, 3.0f, 8.0f}) {
          add(bits);
        }
        break;
      case QuantizerArgument::kParameter:
        for (const float value : {info.default_argument, info.min_argument, 0.3f * info.default_argument}) add(value);
        break;
    }
  }
  return quantizers;
}

// Uniform in [-1.5, 1.5], with values among them at which the results of quantizers change.
std::vector<float> ValuesWithEdges(Random& random, int64_t count, bool with_nan) {
  const float edges[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, -0.5f, 1.0000001f, -1.0000001f, 1e-40f, -1e-40f, 1.5f, NAN};
  std::vector<float> values(count);
  for (float& value : values) {
    const uint32_t edge = random.Below(60);
    value = edge < std::size(edges) - (with_nan ? 0 : 1) ? edges[edge] : random.Uniform(-1.5f, 1.5f);
  }
  return values;
}

// One float, one per row, or one that is not read, as the quantizer needs.
std::vector<float> StatisticsFor(Random& random, const Quantizer& q, int64_t rows) {
  std::vector<float> statistics = RandomVector(random, q.statistic() == Statistic::kRowMaxAbs ? rows : 1, 0.2f, 1.5f);
  if (q.statistic() == Statistic::kRowMaxAbs && rows > 1) statistics[1] = 0.0f;
  return statistics;
}

float StatisticOfRow(const Quantizer& q, const std::vector<float>& statistics, int64_t i) {
  return q.statistic() == Statistic::kRowMaxAbs ? statistics[i] : statistics[0];
}

// The expected result for x [m, n]: the scalar functions are the specification (tests/ops/quantizers checks them).
struct Expected {
  std::vector<float> codes, surrogates;
};

Expected ExpectedFor(const Quantizer& q, const std::vector<float>& x, int64_t m, int64_t n, int64_t stride,
                     const std::vector<float>& statistics) {
  Expected expected;
  DispatchQuantizer(q.info(), [&]<typename Q>() {
    for (int64_t i = 0; i < m; ++i) {
      const float s = StatisticOfRow(q, statistics, i);
      for (int64_t j = 0; j < n; ++j) {
        const float u = Q::kStochastic ? Uniform(kRng, i * n + j) : 0.0f;
        expected.codes.push_back(Q::Code(x[i * stride + j], q.args(), s, u));
        expected.surrogates.push_back(Q::Surrogate(x[i * stride + j], q.args(), s));
      }
    }
  });
  return expected;
}

// tanh and exp of two mathematics libraries are within 2 units in the last place each, and a unit is up to twice the
// error of a rounding.
constexpr double kTranscendental = 8 * kRoundingError;

// Whether a GPU, whose tanh and exp are its own, may differ from the scalar functions of the host.
bool UsesTanhOrExp(const Quantizer& q) {
  return q.statistic() == Statistic::kMaxAbsTanh || q.info().name == "swish_sign";
}

class QuantizeTest : public KernelTest {
 protected:
  bool on_cpu() const { return GetParam().device == Device::kCpu; }

  // Without gaps between rows, a matrix is treated as one long row, unless the quantizer has a statistic per row. A
  // second thread needs some 32,000 elements: that many only for the quantizers' default arguments.
  std::vector<std::pair<int64_t, int64_t>> ShapesFor(const Quantizer& q) const {
    std::vector<std::pair<int64_t, int64_t>> shapes = {{0, 3},   {3, 0},   {0, 5},   {1, 1},    {2, 3},    {31, 33},
                                                       {3, 65},  {27, 63}, {9, 129}, {2, 1025}, {64, 64},  {1, 33},
                                                       {3, 1},   {5, 31},  {7, 64},  {33, 65},  {64, 127}, {2, 1000},
                                                       {257, 3}, {3, 511}, {3, 512}, {3, 516},  {3, 1537}, {130, 129}};
    if (!GetParam().slow && (*ParseQuantizer(q.info().name) == q || q.info().argument == QuantizerArgument::kNone)) {
      shapes.push_back({1, 33001});
      shapes.push_back({5, 9001});
    }
    return shapes;
  }

  // Codes or values of a quantizer that rounds a tanh, on a GPU. An error of tanh moves the value that is rounded by
  // less than 2^k kTranscendental. With uniform values it therefore changes the code, by one step, of a small fraction
  // of the elements; three more are allowed for chance. What lies between rows is as it was.
  template <typename F>
  void ExpectSameButForTies(const Array<float>& array, int64_t m, int64_t n, int64_t stride, const F& expected,
                            double step, double levels) {
    const std::vector<float> values = array.values();
    int64_t differ = 0;
    for (int64_t k = 0; k < m * stride; ++k) {
      const bool inside = k % stride < n;
      const float a = inside ? expected(k / stride, k % stride) : array.initial(k), b = values[k];
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      ++differ;
      ASSERT_LE(std::fabs(a - b), inside ? step * (1 + 1e-5) : 0.0) << "element " << k << " is " << b << ", not " << a;
    }
    EXPECT_LE(differ, 3 + levels * kTranscendental * static_cast<double>(m * n));
  }
};

TEST_P(QuantizeTest, CodesValuesAndGradientsAreTheScalarFunctions) {
  Random random(1);
  for (const Quantizer& q : Quantizers()) {
    for (const auto& shape : ShapesFor(q)) {
      const int64_t m = shape.first, n = shape.second;
      for (const int64_t gap : {0, 3}) {
        if (m * n > 30000 && gap != (m == 1 ? 0 : 3)) continue;  // One way is enough for the large ones.
        SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap);
        const int64_t stride = n + gap;
        const std::vector<float> statistics = StatisticsFor(random, q, m);
        const Array<float> x(*this, HardVector(random, m * stride)), dq(*this, RandomVector(random, m * stride));
        const Array<float> statistic(*this, statistics), codes(*this, m * stride), values(*this, m * stride);
        const Array<float> dx(*this, m * stride);
        const Array<float> values_in_place(*this, x.initial()), dx_in_place(*this, dq.initial());
        Run([&](ExecContext& c, const Kernels& k) {
          const auto view = [&](const Array<float>& array) { return array.matrix(c, m, n, stride); };
          const float* s = q.statistic() == Statistic::kNone ? nullptr : statistic.on(c);
          k.quantize_codes(c, q, view(x), s, kRng, view(codes));
          k.quantize_values(c, q, view(x), s, kRng, view(values));
          k.quantize_values(c, q, view(values_in_place), s, kRng, view(values_in_place));
          k.quantize_backward(c, q, view(x), s, view(dq), view(dx));
          k.quantize_backward(c, q, view(x), s, view(dx_in_place), view(dx_in_place));
        });
        const Expected expected = ExpectedFor(q, x.initial(), m, n, stride, statistics);
        const auto code = [&](int64_t i, int64_t j) { return expected.codes[i * n + j]; };
        const auto value = [&](int64_t i, int64_t j) { return code(i, j) * q.scale(StatisticOfRow(q, statistics, i)); };
        const auto gradient = [&](int64_t i, int64_t j) {
          return dq.initial(i * stride + j) * expected.surrogates[i * n + j];
        };
        if (!on_cpu() && UsesTanhOrExp(q)) {
          const double levels = std::ldexp(1.0, q.args().bits), scale = q.scale(1);
          ExpectSameButForTies(codes, m, n, stride, code, 2, levels);
          ExpectSameButForTies(values, m, n, stride, value, 2 * scale, levels);
          ExpectSameButForTies(values_in_place, m, n, stride, value, 2 * scale, levels);
          // 1 - tanh^2, and swish_sign's polynomial in e = exp(-|b x|), are differences of numbers of order 1 or 2 (b).
          // So the errors of tanh and exp count absolutely, a few times over (in products of up to five such factors),
          // and with |dq| <= 2.
          const double slope = q.info().name == "swish_sign" ? q.args().parameter : 2;
          const auto tolerance = [&](int64_t i, int64_t j) {
            return 8 * kTranscendental * (std::fabs(gradient(i, j)) + slope * 2);
          };
          ExpectMatrixNear(dx, m, n, stride, gradient, tolerance);
          ExpectMatrixNear(dx_in_place, m, n, stride, gradient, tolerance);
        } else {
          const auto none = [](int64_t, int64_t) { return 0.0; };
          ExpectMatrixNear(codes, m, n, stride, code, none);
          ExpectMatrixNear(values, m, n, stride, value, none);
          ExpectMatrixNear(values_in_place, m, n, stride, value, none);
          ExpectMatrixNear(dx, m, n, stride, gradient, none);
          ExpectMatrixNear(dx_in_place, m, n, stride, gradient, none);
        }
      }
    }
  }
}

TEST_P(QuantizeTest, BitsAreTheSignsOfCodes) {
  Random random(2);
  int binary = 0;
  for (const Quantizer& q : Quantizers()) {
    if (q.encoding().kind != EncodingKind::kBinary) continue;
    ++binary;
    for (const auto& shape : ShapesFor(q)) {
      const int64_t m = shape.first, n = shape.second;
      SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n);
      const bool has_window = q.info().surrogate_is_window;
      const std::vector<float> statistics = StatisticsFor(random, q, m);
      const Array<float> x(*this, HardVector(random, m * (n + 3))), statistic(*this, statistics);
      const BitArray bits(*this, m, n), window(*this, m, n);
      Run([&](ExecContext& c, const Kernels& k) {
        k.quantize_bits(c, q, x.matrix(c, m, n, n + 3), statistic.on(c), kRng, bits.on(c),
                        has_window ? window.on(c) : BitMatrixView());
      });
      const Expected expected = ExpectedFor(q, x.initial(), m, n, n + 3, statistics);
      ExpectBits(bits, [&](int64_t i, int64_t j) { return expected.codes[i * n + j] > 0.0f; });
      if (has_window) {
        ExpectBits(window, [&](int64_t i, int64_t j) { return expected.surrogates[i * n + j] != 0.0f; });
      }
    }
  }
  EXPECT_GE(binary, 6);
}

TEST_P(QuantizeTest, Statistics) {
  Random random(3);
  for (const Quantizer& q : Quantizers()) {
    auto shapes = ShapesFor(q);
    shapes.push_back({100, 1000});
    for (const auto& shape : shapes) {
      const int64_t m = shape.first, n = shape.second;
      for (const int64_t gap : {0, 3}) {
        SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap);
        const int64_t stride = n + gap;
        // A mean of magnitudes becomes NaN, a maximum ignores NaN.
        const Array<float> x(*this, ValuesWithEdges(random, m * stride, q.statistic() != Statistic::kMeanAbs));
        const Array<float> statistic(*this, q.statistic() == Statistic::kRowMaxAbs ? m : 1);
        Run([&](ExecContext& c, const Kernels& k) {
          k.quantize_statistic(c, q, x.matrix(c, m, n, stride), statistic.on(c));
        });
        double sum = 0;
        float max = 0;
        std::vector<float> row_max(m, 0.0f);
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            const float magnitude = std::fabs(x.initial(i * stride + j));
            sum += magnitude;
            if (magnitude > row_max[i]) row_max[i] = magnitude;
          }
          max = std::max(max, row_max[i]);
        }
        const double mean = m * n == 0 ? 0 : sum / static_cast<double>(m * n);
        const double tanh = std::tanh(max);
        switch (q.statistic()) {
          case Statistic::kNone:
            ExpectValues(statistic, 0, [](int64_t) { return 0.0f; });
            break;  // Not written.
          // The sums are in double, so that what counts is the rounding of the mean to float.
          case Statistic::kMeanAbs:
            ExpectNear(
                statistic, 1, [&](int64_t) { return mean; }, [&](int64_t) { return 2 * kRoundingError * mean; });
            break;
          case Statistic::kMaxAbsTanh:
            ExpectNear(
                statistic, 1, [&](int64_t) { return on_cpu() ? static_cast<double>(std::tanh(max)) : tanh; },
                [&](int64_t) { return on_cpu() ? 0 : kTranscendental * tanh; });
            break;
          case Statistic::kRowMaxAbs: ExpectValues(statistic, [&](int64_t i) { return row_max[i]; }); break;
        }
      }
    }
  }
}

TEST_P(QuantizeTest, MeansSayNaN) {
  const Array<float> x(*this, {1.0f, NAN, 2.0f}), mean(*this, 1);
  Run([&](ExecContext& c, const Kernels& k) {
    k.quantize_statistic(c, DorefaWeight(1), x.matrix(c, 1, 3, 3), mean.on(c));
  });
  EXPECT_TRUE(std::isnan(mean.values()[0]));
}

// The mean does not depend on where rows lie in memory.
TEST_P(QuantizeTest, MeansDependOnShapeAlone) {
  Random random(4);
  constexpr int64_t kRows = 129, kCols = 257, kStride = kCols + 5;
  const Array<float> gapless(*this, RandomVector(random, kRows * kCols));
  std::vector<float> values(kRows * kStride, 7.0f);
  for (int64_t i = 0; i < kRows; ++i) {
    std::copy_n(gapless.initial().begin() + i * kCols, kCols, values.begin() + i * kStride);
  }
  const Array<float> gaps(*this, values), means(*this, 2);
  Run([&](ExecContext& c, const Kernels& k) {
    k.quantize_statistic(c, DorefaWeight(1), gapless.matrix(c, kRows, kCols, kCols), means.on(c));
    k.quantize_statistic(c, DorefaWeight(1), gaps.matrix(c, kRows, kCols, kStride), means.on(c) + 1);
  });
  EXPECT_EQ(means.values()[0], means.values()[1]);
}

class QuantizeRowsTest : public KernelTest {
 protected:
  // The codes of each row of x [m, n], or of each column where `transpose`, are the scalar function's. A NaN has no
  // code, so the row's scale is NaN; its largest magnitude is that of the numbers.
  void ExpectScalarFunction(const Quantizer& q, bool transpose, const std::vector<float>& values, int64_t m, int64_t n,
                            int64_t stride, int64_t gap_of_codes) {
    const int64_t rows = transpose ? n : m, cols = transpose ? m : n, codes_stride = cols + gap_of_codes;
    const Array<float> x(*this, values), scale(*this, rows);
    const Array<int8_t> codes(*this, rows * codes_stride);
    Run([&](ExecContext& c, const Kernels& k) {
      k.quantize_rows_s8(c, q, transpose, x.matrix(c, m, n, stride), kRng, codes.matrix(c, rows, cols, codes_stride),
                         scale.on(c));
    });
    const auto at = [&](int64_t i, int64_t j) { return transpose ? values[j * stride + i] : values[i * stride + j]; };
    std::vector<float> max(rows, 0.0f);
    std::vector<bool> has_nan(rows, false);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        if (std::isnan(at(i, j))) has_nan[i] = true;
        if (std::fabs(at(i, j)) > max[i]) max[i] = std::fabs(at(i, j));
      }
    }
    ExpectValues(scale, [&](int64_t i) { return has_nan[i] ? NAN : q.scale(max[i]); });
    ExpectMatrix(codes, rows, cols, codes_stride, [&](int64_t i, int64_t j) {
      return StochasticRoundQuantizer::Code(at(i, j), q.args(), max[i], Uniform(kRng, i * cols + j));
    });
  }
};

TEST_P(QuantizeRowsTest, RowsAndColumns) {
  Random random(5);
  auto shapes = Shapes();
  shapes.insert(shapes.end(), {{0, 5}, {5, 0}, {2, 1000}, {33, 65}, {128, 32}, {132, 516}, {6, 2050}});
  for (const Quantizer& q : Quantizers()) {
    if (q.encoding().kind != EncodingKind::kSigned) continue;
    for (const auto& [m, n] : shapes) {
      for (const bool transpose : {false, true}) {
        for (const int64_t gap : {0, 3}) {
          for (const bool with_nan : {false, true}) {
            // Two of the ways are enough for the large ones, where every instruction set has its turn.
            if (GetParam().device == Device::kCpu && m * n > 10000 && with_nan != (gap == 0)) continue;
            SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap
                                            << ", transpose " << transpose << ", NaN " << with_nan);
            ExpectScalarFunction(q, transpose, ValuesWithEdges(random, m * (n + gap), with_nan), m, n, n + gap,
                                 gap == 0 ? 0 : 5);
          }
        }
      }
    }
  }
}

// Zeros, infinities, the least numbers, and NaNs.
TEST_P(QuantizeRowsTest, SpecialRows) {
  const Quantizer q = StochasticRound(8);
  const std::vector<float> values = {0, -0.0f, 0, 0, INFINITY, 1, -2, 0, -INFINITY, NAN, 3, 4, 1e-45f, 0, -1e-45f, 0};
  for (const bool transpose : {false, true}) ExpectScalarFunction(q, transpose, values, 4, 4, 4, 0);
  std::vector<float> ones(3 * 40, 1.0f);
  ones[1 * 40 + 37] = NAN;
  ExpectScalarFunction(q, false, ones, 3, 40, 40, 0);
}

BITGRAD_INSTANTIATE_ON_DEVICES(QuantizeTest);
BITGRAD_INSTANTIATE_ON_DEVICES(QuantizeRowsTest);

}  // namespace
}  // namespace bitgrad
