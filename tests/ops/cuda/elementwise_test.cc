#include <cmath>
#include <limits>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaElementwiseTest = CudaTest;

std::vector<float> WithSpecialValues(std::vector<float> values) {
  const float special[] = {0.0f, -0.0f, 1.0f, -1.0f, NAN, INFINITY, -INFINITY, 1e-40f};
  for (size_t i = 0; i < std::size(special) && i < values.size(); ++i) values[i] = special[i];
  return values;
}

// The largest difference between exp and tanh of two mathematics libraries.
constexpr double kTranscendental = 4 * kRounding;

TEST_F(CudaElementwiseTest, Unary) {
  TestRandom random(1);
  for (const Unary op : {Unary::kRelu, Unary::kLeakyRelu, Unary::kHardtanh, Unary::kSigmoid, Unary::kTanh}) {
    for (const int64_t n : Counts()) {
      SCOPED_TRACE(testing::Message() << "op " << static_cast<int>(op) << ", " << n);
      Both<float> x(gpu_, WithSpecialValues(Uniform(random, n).of_host())), dy = Uniform(random, n);
      Both<float> y(gpu_, n), dx(gpu_, n);
      OnBoth([&](ExecContext& c, const Kernels& k) {
        k.unary_forward(c, op, 0.25f, x.on(c), y.on(c), n);
        k.unary_backward(c, op, 0.25f, x.on(c), dy.on(c), dx.on(c), n);
      });
      if (op == Unary::kSigmoid || op == Unary::kTanh) {
        ExpectClose(y, kTranscendental);
        ExpectClose(dx, 0);  // NaNs may differ in their bits.
      } else {
        ExpectClose(y, 0);
        ExpectClose(dx, 0);
      }
    }
  }
}

TEST_F(CudaElementwiseTest, BinaryWithStridesAndBroadcast) {
  TestRandom random(2);
  for (const Binary op : {Binary::kAdd, Binary::kSub, Binary::kMul}) {
    for (const auto& [m, n] : Shapes()) {
      for (const bool broadcast : {false, true}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n);
        Both<float> a = Uniform(random, m * (n + 3)), b = Uniform(random, m * n + n), y(gpu_, m * (n + 1));
        OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          k.binary_forward(c, op, a.matrix(c, m, n, n + 3), b.matrix(c, m, n, broadcast ? 0 : n),
                           y.matrix(c, m, n, n + 1));
        });
        ExpectSame(y);
      }
    }
  }
}

TEST_F(CudaElementwiseTest, ScalesFillsAndCopies) {
  TestRandom random(3);
  for (const int64_t n : Counts()) {
    SCOPED_TRACE(n);
    Both<float> x = Uniform(random, n), y = Uniform(random, n), z(gpu_, n), filled(gpu_, n);
    Both<float> factor = Uniform(random, 1), scaled = Uniform(random, n);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.scale_f32(c, 0.3f, x.on(c), /*accumulate=*/true, y.on(c), n);
      k.scale_f32(c, 0.3f, x.on(c), /*accumulate=*/false, z.on(c), n);
      k.fill_f32(c, 0.7f, filled.on(c), n);
      k.scale_by_f32(c, 0.3f, factor.on(c), scaled.on(c), n);
    });
    ExpectSame(y);
    ExpectSame(z);
    ExpectSame(filled);
    ExpectSame(scaled);
  }
  for (const auto& [m, n] : Shapes()) {
    Both<float> x = Uniform(random, m * (n + 2)), y(gpu_, m * (n + 5));
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.copy_matrix(c, x.matrix(c, m, n, n + 2), y.matrix(c, m, n, n + 5));
    });
    ExpectSame(y);
  }
}

TEST_F(CudaElementwiseTest, DrawsTheSameNumbers) {
  TestRandom random(4);
  const RngStream rng{.seed = 0x123456789abcdef, .purpose = RngPurpose::kDropout, .step = 3, .stream = 7};
  for (const int64_t n : Counts()) {
    SCOPED_TRACE(n);
    Both<float> noise(gpu_, n), x = Uniform(random, n), y(gpu_, n);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.fill_uniform(c, rng, -0.3f, 0.9f, noise.on(c), n);
      k.dropout(c, 0.7f, rng, x.on(c), y.on(c), n);
    });
    ExpectSame(noise);
    ExpectSame(y);
  }
}

}  // namespace
}  // namespace bitgrad
