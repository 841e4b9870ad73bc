#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/tests/ops/cuda/both.h"
#include "bitgrad/tests/ops/cuda/quantize_testing.h"

namespace bitgrad {
namespace {

using CudaQuantizeTest = CudaTest;

constexpr RngStream kRng = {.seed = 0x123456789abcdef, .purpose = RngPurpose::kQuantizer, .step = 5, .stream = 9};

// Shapes() without empty ones, for which no statistic is requested.
std::vector<std::pair<int64_t, int64_t>> QuantizeShapes() {
  auto shapes = Shapes();
  for (const int64_t cols : {511, 512, 516, 1537}) shapes.push_back({3, cols});
  return shapes;
}

// tanh and exp of two mathematics libraries are within 2 units in the last place each, and a unit is up to 2 kRounding.
constexpr double kTranscendental = 8 * kRounding;

bool UsesTanhOrExp(const Quantizer& q) {
  return q.statistic() == Statistic::kMaxAbsTanh || q.info().name == "swish_sign";
}

// Compares the codes of a quantizer that rounds a tanh. An error of tanh moves the value that is rounded by less than
// 2^k kTranscendental. With uniform values it therefore changes the code, by one step, of a small fraction of the
// elements; three more are allowed for chance.
void ExpectSameButForTies(const Both<float>& codes, double step, double levels) {
  const std::vector<float> device = codes.of_device();
  int64_t differ = 0;
  for (size_t i = 0; i < device.size(); ++i) {
    const float a = codes.of_host()[i], b = device[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    ++differ;
    ASSERT_LE(std::fabs(a - b), step * (1 + 1e-5)) << "element " << i << ": CPU " << a << ", GPU " << b;
  }
  EXPECT_LE(differ, 3 + levels * kTranscendental * device.size());
}

TEST_F(CudaQuantizeTest, Statistics) {
  TestRandom random(1);
  auto shapes = QuantizeShapes();
  shapes.push_back({100, 1000});
  for (const Quantizer& q : QuantizersForTests()) {
    if (q.statistic() == Statistic::kNone) continue;
    for (const auto& [m, n] : shapes) {
      for (const int64_t gap : {0, 3}) {
        SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap);
        // A sum of magnitudes becomes NaN, a maximum ignores NaN.
        Both<float> x(gpu_, ValuesWithEdges(random, m * (n + gap), q.statistic() != Statistic::kMeanAbs));
        Both<float> statistic(gpu_, q.statistic() == Statistic::kRowMaxAbs ? m : 1);
        OnBoth([&, m = m, n = n, gap = gap](ExecContext& c, const Kernels& k) {
          k.quantize_statistic(c, q, x.matrix(c, m, n, n + gap), statistic.on(c));
        });
        switch (q.statistic()) {
          case Statistic::kNone: break;
          // The error of the sums in double is less than n 2^-53; then both sides round to float, to neighbours at
          // most.
          case Statistic::kMeanAbs: ExpectClose(statistic, 2 * kRounding + m * n * 0x1p-52); break;
          case Statistic::kMaxAbsTanh: ExpectClose(statistic, kTranscendental); break;
          case Statistic::kRowMaxAbs: ExpectSame(statistic); break;
        }
      }
    }
  }
}

TEST_F(CudaQuantizeTest, NanInMean) {
  Both<float> x(gpu_, {1.0f, NAN, 2.0f}), mean(gpu_, 1);
  OnBoth([&](ExecContext& c, const Kernels& k) {
    k.quantize_statistic(c, *ParseQuantizer("dorefa_weight(1)"), x.matrix(c, 1, 3), mean.on(c));
  });
  ExpectClose(mean, 0);
}

// With the same statistics on both sides.
TEST_F(CudaQuantizeTest, CodesValuesAndGradients) {
  TestRandom random(2);
  for (const Quantizer& q : QuantizersForTests()) {
    for (const auto& [m, n] : QuantizeShapes()) {
      for (const int64_t gap : {0, 3}) {
        SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap);
        const int64_t stride = n + gap;
        Both<float> x(gpu_, ValuesWithEdges(random, m * stride)), dq = Uniform(random, m * stride);
        Both<float> statistic = Uniform(random, m + 1, 0.5f, 1.5f);
        Both<float> codes(gpu_, m * stride), values(gpu_, m * stride), in_place(gpu_, x.of_host());
        Both<float> dx(gpu_, m * stride), gradient_in_place(gpu_, dq.of_host());
        OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          const auto view = [&, m = m, n = n](Both<float>& array) { return array.matrix(c, m, n, stride); };
          const float* of_rows = q.statistic() == Statistic::kNone ? nullptr : statistic.on(c);
          k.quantize_codes(c, q, view(x), of_rows, kRng, view(codes));
          k.quantize_values(c, q, view(x), of_rows, kRng, view(values));
          k.quantize_values(c, q, view(in_place), of_rows, kRng, view(in_place));
          k.quantize_backward(c, q, view(x), of_rows, view(dq), view(dx));
          k.quantize_backward(c, q, view(x), of_rows, view(gradient_in_place), view(gradient_in_place));
        });
        if (UsesTanhOrExp(q)) {
          const double levels = std::ldexp(1.0, q.args().bits), scale = q.scale(1);
          ExpectSameButForTies(codes, 2, levels);
          ExpectSameButForTies(values, 2 * scale, levels);
          ExpectSameButForTies(in_place, 2 * scale, levels);
          // 1 - tanh^2, and swish_sign's polynomial in e = exp(-|b x|), are differences of numbers of order 1 or 2 (b).
          // So the errors of tanh and exp count absolutely, a few times over (in products of up to five such factors),
          // and with |dq| <= 2.
          const double slope = q.info().name == "swish_sign" ? q.args().parameter : 2;
          ExpectClose(dx, 8 * kTranscendental, 8 * slope * 2 * kTranscendental);
          ExpectClose(gradient_in_place, 8 * kTranscendental, 8 * slope * 2 * kTranscendental);
        } else {
          ExpectClose(codes, 0);  // NaNs may differ in their bits.
          ExpectClose(values, 0);
          ExpectClose(in_place, 0);
          ExpectClose(dx, 0);
          ExpectClose(gradient_in_place, 0);
        }
      }
    }
  }
}

TEST_F(CudaQuantizeTest, Bits) {
  TestRandom random(3);
  for (const Quantizer& q : QuantizersForTests()) {
    if (q.encoding().kind != EncodingKind::kBinary) continue;
    for (const auto& [m, n] : QuantizeShapes()) {
      SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n);
      Both<float> x(gpu_, ValuesWithEdges(random, m * (n + 3))), statistic = Uniform(random, m + 1, 0.5f, 1.5f);
      BothBits bits(gpu_, m, n), window(gpu_, m, n);
      OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        k.quantize_bits(c, q, x.matrix(c, m, n, n + 3), statistic.on(c), kRng, bits.on(c),
                        q.info().surrogate_is_window ? window.on(c) : BitMatrixView{});
      });
      ExpectSame(bits);
      ExpectSame(window);
    }
  }
}

}  // namespace
}  // namespace bitgrad
