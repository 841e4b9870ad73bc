#include <cstdint>
#include <vector>

#include "bitgrad/core/tensor.h"
#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using SignGemmTest = CpuKernelTest;
BITGRAD_INSTANTIATE_FOR_TARGETS(SignGemmTest);

struct Extents3 {
  int64_t m, n, k;
};

// Every size as each of the extents; and shapes that are enough work for two threads, with several blocks of k and of
// rows.
std::vector<Extents3> Shapes() {
  constexpr int kCount = std::size(kSizes);
  std::vector<Extents3> shapes;
  for (int i = 0; i < kCount; ++i) {
    const Extents3 shape = {kSizes[i], kSizes[(i * 5 + 1) % kCount], kSizes[(i * 8 + 2) % kCount]};
    if (shape.m * shape.n * shape.k < 10'000'000) shapes.push_back(shape);
  }
  shapes.push_back({1100, 130, 9});
  shapes.push_back({7, 200, 1100});
  shapes.push_back({50, 64, 513});
  return shapes;
}

float SignOf(const BitMatrix& bits, int64_t i, int64_t j) { return bits.view().bit(i, j) ? 1.0f : -1.0f; }

void ExpectSquares(const TestMatrix<float>& c, double squares) {
  double expected = 0;
  for (int64_t i = 0; i < c.rows(); ++i) {
    for (int64_t j = 0; j < c.cols(); ++j) expected += double{c.at(i, j)} * c.at(i, j);
  }
  // A partial sum of squares has at most 30 roundings.
  EXPECT_NEAR(squares, expected, 32 * kEpsilon * expected);
}

TEST_P(SignGemmTest, FloatsAddUpInTheOrderOfK) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n, k] : Shapes()) {
    for (bool transpose : {false, true}) {
      for (bool masked : {false, true}) {
        SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << (transpose ? " transposed" : "")
                                        << (masked ? " masked" : ""));
        const auto a = RandomFloats(random, transpose ? k : m, transpose ? m : k, 3);
        const BitMatrix b = RandomBits(random, k, n);
        const BitMatrix mask = RandomBits(random, m, n);
        const auto c = OnOneAndTwoThreads([&](ExecContext& context) {
          TestMatrix<float> c(m, n, 2);
          double squares = -1;
          kernels_.sign_gemm_f32(context, transpose, 0.75f, a.view(), b.view(),
                                 masked ? mask.view() : ConstBitMatrixView{}, c.view(), masked ? nullptr : &squares);
          c.ExpectGapsUntouched();
          if (!masked) ExpectSquares(c, squares);
          return c.values();
        });
        const auto expected = [&](int64_t i, int64_t j) {
          float sum = 0;
          for (int64_t l = 0; l < k; ++l) sum += (transpose ? a.at(l, i) : a.at(i, l)) * SignOf(b, l, j);
          return masked && !mask.view().bit(i, j) ? 0.0f : sum * 0.75f;
        };
        ExpectSame(
            m, n, [&](int64_t i, int64_t j) { return c[i * (n + 2) + j]; }, expected);
      }
    }
  }
}

TEST_P(SignGemmTest, Int8IsExact) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n, k] : Shapes()) {
    for (bool masked : {false, true}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << (masked ? " masked" : ""));
      const auto a = TestMatrix<int8_t>::Of(
          m, k, 3, [&] { return static_cast<int8_t>(static_cast<int>(random.Below(256)) - 128); });
      const BitMatrix b = RandomBits(random, k, n);
      const BitMatrix mask = RandomBits(random, m, n);
      const auto scale = RandomVector(random, m);
      const auto c = OnOneAndTwoThreads([&](ExecContext& context) {
        TestMatrix<float> c(m, n, 2);
        double squares = -1;
        kernels_.sign_gemm_s8(context, scale.data(), a.view(), b.view(), masked ? mask.view() : ConstBitMatrixView{},
                              c.view(), masked ? nullptr : &squares);
        c.ExpectGapsUntouched();
        if (!masked) ExpectSquares(c, squares);
        return c.values();
      });
      const auto expected = [&](int64_t i, int64_t j) {
        int64_t sum = 0;
        for (int64_t l = 0; l < k; ++l) sum += a.at(i, l) * static_cast<int>(SignOf(b, l, j));
        return masked && !mask.view().bit(i, j) ? 0.0f : static_cast<float>(sum) * scale[i];
      };
      ExpectSame(
          m, n, [&](int64_t i, int64_t j) { return c[i * (n + 2) + j]; }, expected);
    }
  }
}

// Results that are larger than the cache, which the stores bypass.
TEST_P(SignGemmTest, LargeResults) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  const int64_t m = 2050, n = 2112, k = 3;
  const auto a = RandomFloats(random, m, k);
  const auto a8 = TestMatrix<int8_t>::Of(m, k, 0, [&] { return static_cast<int8_t>(random.Below(256)); });
  const auto scale = RandomVector(random, m);
  const BitMatrix b = RandomBits(random, k, n);
  Tensor result({m, n}, DType::kFloat32);  // aligned to a cache line
  const MatrixView<float> c = result.mutable_matrix<float>();
  const auto at = [&](int64_t i, int64_t j) { return c.at(i, j); };
  kernels_.sign_gemm_f32(two_, false, 1, a.view(), b.view(), {}, c, nullptr);
  ExpectSame(m, n, at, [&](int64_t i, int64_t j) {
    float sum = 0;
    for (int64_t l = 0; l < k; ++l) sum += a.at(i, l) * SignOf(b, l, j);
    return sum;
  });
  kernels_.sign_gemm_s8(two_, scale.data(), a8.view(), b.view(), {}, c, nullptr);
  ExpectSame(m, n, at, [&](int64_t i, int64_t j) {
    int sum = 0;
    for (int64_t l = 0; l < k; ++l) sum += a8.at(i, l) * static_cast<int>(SignOf(b, l, j));
    return static_cast<float>(sum) * scale[i];
  });
}

// The longest inner dimension with the largest codes: sums just below 2^24.
TEST_P(SignGemmTest, Int8IsExactAtItsLimit) {
  const int64_t k = kMaxSignGemmS8Inner;
  const auto a = TestMatrix<int8_t>::Of(1, k, 0, [] { return static_cast<int8_t>(-128); });
  BitMatrix b = BitMatrix::Zeros(k, 2);
  for (int64_t l = 0; l < k; ++l) b.mutable_view().row(l)[0] = l == 0 ? 3 : 1;
  TestMatrix<float> c(1, 2);
  const float scale = 1;
  kernels_.sign_gemm_s8(one_, &scale, a.view(), b.view(), {}, c.view(), nullptr);
  EXPECT_EQ(c.at(0, 0), -128.0f * k);
  EXPECT_EQ(c.at(0, 1), 128.0f * (k - 2));
}

}  // namespace
}  // namespace bitgrad
