#include <cstdint>
#include <limits>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/gemm.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// oneDNN chooses its instruction set itself, so these tests run once.
class GemmTest : public testing::Test {
 protected:
  const Kernels& kernels_ = CpuKernels();
  ExecContext one_{{.threads = 1}};
  ExecContext two_{{.threads = 2}};
};

struct Shape3 {
  int64_t m, n, k;
};

std::vector<Shape3> Shapes() {
  constexpr int kCount = std::size(kSizes);
  std::vector<Shape3> shapes;
  for (int i = 0; i < kCount; ++i) {
    const Shape3 shape = {kSizes[i], kSizes[(i * 5 + 1) % kCount], kSizes[(i * 8 + 2) % kCount]};
    if (shape.m * shape.n * shape.k < 10'000'000) shapes.push_back(shape);
  }
  for (int64_t k : {0, 1, 10, 100}) shapes.push_back({5, 7, k});
  shapes.push_back({129, 127, 65});
  return shapes;
}

TEST_F(GemmTest, AgreesWithDoublePrecision) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  for (const Shape3& s : Shapes()) {
    for (int flags = 0; flags < 8; ++flags) {
      const bool ta = flags & 1, tb = flags & 2;
      const float alpha = flags & 4 ? 0.75f : 1.0f;
      const float beta = flags & 4 ? -0.5f : 0.0f;
      SCOPED_TRACE(testing::Message() << "m " << s.m << ", n " << s.n << ", k " << s.k << ", flags " << flags);
      const auto a = RandomFloats(random, ta ? s.k : s.m, ta ? s.m : s.k, 3);
      const auto b = RandomFloats(random, tb ? s.n : s.k, tb ? s.k : s.n, 5);
      const auto before = RandomFloats(random, s.m, s.n, 2);
      auto c = before;
      if (beta == 0.0f) {
        // NaNs show whether it is read, which it must not be.
        for (int64_t i = 0; i < s.m; ++i) {
          for (int64_t j = 0; j < s.n; ++j) c.view().at(i, j) = std::numeric_limits<float>::quiet_NaN();
        }
      }
      kernels_.gemm_f32(flags & 1 ? one_ : two_, ta, tb, alpha, a.view(), b.view(), beta, c.view());
      ASSERT_TRUE(one_.status().ok() && two_.status().ok());
      c.ExpectGapsUntouched();
      for (int64_t i = 0; i < s.m; ++i) {
        for (int64_t j = 0; j < s.n; ++j) {
          const auto expected = reference::Gemm(ta, tb, alpha, a.view(), b.view(), beta, before.at(i, j), i, j);
          // k products, k sums, two scalings: each rounds once, relative to at most the sum of the magnitudes.
          ASSERT_NEAR(c.at(i, j), expected.value, (s.k + 4) * kEpsilon * expected.magnitude);
        }
      }
    }
  }
}

// Packed models rely on this promise.
TEST_F(GemmTest, IntegersAreExact) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  const int64_t m = 33, n = 65, k = 1000;
  const auto codes = [&] { return static_cast<float>(2 * static_cast<int>(random.Below(256)) - 255); };
  const auto signs = [&] { return random.Below(2) == 0 ? -1.0f : 1.0f; };
  const auto a = TestMatrix<float>::Of(m, k, 0, codes);
  const auto b = TestMatrix<float>::Of(n, k, 0, signs);
  TestMatrix<float> c(m, n);
  kernels_.gemm_f32(two_, false, true, 1.0f, a.view(), b.view(), 0.0f, c.view());
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      ASSERT_EQ(c.at(i, j), reference::Gemm(false, true, 1, a.view(), b.view(), 0, 0, i, j).value);
    }
  }
}

TEST_F(GemmTest, RowsMayBeBroadcast) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  const auto row = RandomVector(random, 9);
  const auto b = RandomFloats(random, 9, 4);
  const ConstMatrixView<float> a(row.data(), 5, 9, /*stride=*/0);
  TestMatrix<float> c(5, 4);
  kernels_.gemm_f32(one_, false, false, 1.0f, a, b.view(), 0.0f, c.view());
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      const auto expected = reference::Gemm(false, false, 1, a, b.view(), 0, 0, i, j);
      ASSERT_NEAR(c.at(i, j), expected.value, 10 * kEpsilon * expected.magnitude);
    }
  }
}

}  // namespace
}  // namespace bitgrad
