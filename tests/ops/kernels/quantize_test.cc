// Codes, values, bits and gradients of quantizers over matrices. The numbers beside x are in quantize_numbers_test.cc.

#include "bitgrad/ops/kernels/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/ops/kernels/quantize_testing.h"

namespace bitgrad {
namespace {

class QuantizeTest : public QuantizeKernelTest {
 protected:
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
        const NumbersOf numbers(*this, random, q, m);
        const Array<float> x(*this, HardVector(random, m * stride)), dq(*this, RandomVector(random, m * stride));
        const Array<float> codes(*this, m * stride), values(*this, m * stride);
        const Array<float> dx(*this, m * stride), passed(*this, m * stride);
        const Array<float> values_in_place(*this, x.initial()), dx_in_place(*this, dq.initial());
        Run([&](ExecContext& c, const Kernels& k) {
          const auto view = [&](const Array<float>& array) { return array.matrix(c, m, n, stride); };
          const QuantizerOperands operands = numbers.on(c);
          k.quantize_codes(c, q, view(x), operands, kRng, view(codes));
          k.quantize_values(c, q, view(x), operands, kRng, view(values));
          k.quantize_values(c, q, view(values_in_place), operands, kRng, view(values_in_place));
          const auto backward = [&](bool pass_through, const Array<float>& dq_array, const Array<float>& dx_array) {
            k.quantize_backward(c, q, pass_through, view(x), {}, operands, kRng, view(dq_array), view(dx_array), {});
          };
          backward(/*pass_through=*/false, dq, dx);
          backward(/*pass_through=*/false, dx_in_place, dx_in_place);
          backward(/*pass_through=*/true, dq, passed);
        });
        const Expected expected = ExpectedFor(q, x.initial(), m, n, stride, numbers);
        const auto code = [&](int64_t i, int64_t j) { return expected.codes[i * n + j]; };
        const auto value = [&](int64_t i, int64_t j) { return code(i, j) * numbers.scale(i); };
        const auto gradient = [&](int64_t i, int64_t j) {
          return dq.initial(i * stride + j) * expected.surrogates[i * n + j] * numbers.gradient_scale(i);
        };
        const auto none = [](int64_t, int64_t) { return 0.0; };
        ExpectMatrixNear(
            passed, m, n, stride,
            [&](int64_t i, int64_t j) { return dq.initial(i * stride + j) * numbers.gradient_scale(i); }, none);
        if (!on_cpu() && UsesTanhOrExp(q)) {
          const double levels = std::ldexp(1.0, q.args().bits);
          // A step of the values is that of the row with the largest scale.
          double scale = 0;
          for (int64_t i = 0; i < m; ++i) scale = std::max<double>(scale, numbers.scale(i));
          ExpectSameButForTies(codes, m, n, stride, code, 2, levels);
          ExpectSameButForTies(values, m, n, stride, value, 2 * scale, levels);
          ExpectSameButForTies(values_in_place, m, n, stride, value, 2 * scale, levels);
          // 1 - tanh^2, and swish_sign's polynomial in e = exp(-|b x|), are differences of numbers of order 1 or 2 (b).
          // So the errors of tanh and exp count absolutely, a few times over (in products of up to five such factors),
          // and with |dq| <= 2.
          const auto tolerance = [&](int64_t i, int64_t j) {
            const bool swish = q.info().name == "swish_sign";
            const double slope = !swish ? 2 : q.has_variable() ? numbers.of(i).variable : q.args().parameter;
            return 8 * kTranscendental * (std::fabs(gradient(i, j)) + slope * 2 * std::fabs(numbers.gradient_scale(i)));
          };
          ExpectMatrixNear(dx, m, n, stride, gradient, tolerance);
          ExpectMatrixNear(dx_in_place, m, n, stride, gradient, tolerance);
        } else {
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
      const NumbersOf numbers(*this, random, q, m);
      const Array<float> x(*this, HardVector(random, m * (n + 3)));
      const BitArray bits(*this, m, n), window(*this, m, n);
      Run([&](ExecContext& c, const Kernels& k) {
        k.quantize_bits(c, q, x.matrix(c, m, n, n + 3), numbers.on(c), kRng, bits.on(c),
                        has_window ? window.on(c) : BitMatrixView());
      });
      const Expected expected = ExpectedFor(q, x.initial(), m, n, n + 3, numbers);
      ExpectBits(bits, [&](int64_t i, int64_t j) { return expected.codes[i * n + j] > 0.0f; });
      if (has_window) {
        ExpectBits(window, [&](int64_t i, int64_t j) { return expected.surrogates[i * n + j] != 0.0f; });
      }
    }
  }
  EXPECT_GE(binary, 15);
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
      return StochasticRoundQuantizer::Code(at(i, j), q.args(), {.statistic = max[i]}, Uniform(kRng, i * cols + j));
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
