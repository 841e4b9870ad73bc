#include "bitgrad/tests/reference/gemm.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

struct Extents3 {
  int64_t m, n, k;
};

class GemmTest : public KernelTest {
 protected:
  // Sizes around those at which kernels change what they do, as each of the extents; and empty sums and results.
  std::vector<Extents3> Products() const {
    constexpr int64_t kSizes[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 129, 1000};
    constexpr int kCount = std::size(kSizes);
    std::vector<Extents3> products = {{3, 5, 0},      {0, 3, 4},      {7, 0, 2}, {5, 33, 17}, {64, 31, 129},
                                      {100, 10, 257}, {130, 70, 64},  {5, 7, 0}, {5, 7, 1},   {5, 7, 10},
                                      {5, 7, 100},    {129, 127, 65}, {1, 1, 1}};
    for (int i = 0; i < kCount; ++i) {
      products.push_back({kSizes[i], kSizes[(i * 5 + 1) % kCount], kSizes[(i * 8 + 2) % kCount]});
    }
    const int64_t most = GetParam().slow ? 600'000 : 10'000'000;
    std::erase_if(products, [&](const Extents3& s) { return s.m * s.n * s.k >= most; });
    return products;
  }

  // The bits of the product may depend on the number of threads, so each context's result c is compared by itself:
  // element (i, j) of [m, n] is within tolerance of expected[i * n + j], and what lies between rows is as it was.
  void ExpectProduct(const Array<float>& c, int64_t n, int64_t stride,
                     const std::vector<reference::GemmElement>& expected, double tolerance) {
    for (size_t t = 0; t < contexts().size(); ++t) {
      SCOPED_TRACE(testing::Message() << "context " << t);
      const std::vector<float> values = c.values(*contexts()[t]);
      for (int64_t l = 0; l < c.count(); ++l) {
        const int64_t i = l / stride, j = l % stride;
        if (j >= n) {
          ASSERT_TRUE(SameNumber(values[l], c.initial(l))) << "between the rows " << i << " and " << i + 1;
        } else {
          const reference::GemmElement& right = expected[i * n + j];
          ASSERT_LE(std::fabs(values[l] - right.value), tolerance * right.magnitude)
              << "element (" << i << ", " << j << ") is " << values[l] << ", not " << right.value;
        }
      }
    }
  }
};

TEST_P(GemmTest, AgreesWithDoublePrecision) {
  Random random(1);
  for (const auto& [m, n, k] : Products()) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        for (const auto& [alpha, beta] : {std::pair(1.0f, 0.0f), std::pair(0.75f, 0.0f), std::pair(0.75f, -0.5f)}) {
          SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << ", transposed " << transpose_a
                                          << transpose_b << ", alpha " << alpha << ", beta " << beta);
          const int64_t a_rows = transpose_a ? k : m, a_cols = transpose_a ? m : k;
          const int64_t b_rows = transpose_b ? n : k, b_cols = transpose_b ? k : n;
          const Array<float> a(*this, RandomVector(random, a_rows * (a_cols + 3)));
          const Array<float> b(*this, RandomVector(random, b_rows * (b_cols + 5)));
          // NaNs show whether c is read, which it must not be with a beta of 0.
          const Array<float> c(*this, beta == 0
                                          ? std::vector<float>(m * (n + 2), std::numeric_limits<float>::quiet_NaN())
                                          : RandomVector(random, m * (n + 2)));
          Run([&, m = m, n = n, alpha = alpha, beta = beta](ExecContext& x, const Kernels& kernels) {
            kernels.gemm_f32(x, transpose_a, transpose_b, alpha, a.matrix(x, a_rows, a_cols, a_cols + 3),
                             b.matrix(x, b_rows, b_cols, b_cols + 5), beta, c.matrix(x, m, n, n + 2));
          });
          std::vector<reference::GemmElement> expected;
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t j = 0; j < n; ++j) {
              expected.push_back(reference::Gemm(
                  transpose_a, transpose_b, alpha, {a.initial().data(), a_rows, a_cols, a_cols + 3},
                  {b.initial().data(), b_rows, b_cols, b_cols + 5}, beta, c.initial(i * (n + 2) + j), i, j));
            }
          }
          // k products, k sums, two scalings: each rounds once, relative to at most the sum of the magnitudes.
          ExpectProduct(c, n, n + 2, expected, static_cast<double>(k + 4) * kRoundingError);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Packed models rely on this promise: codes times signs, and codes times codes whose sums stay below 2^24.
TEST_P(GemmTest, IntegersAreExact) {
  Random random(2);
  const auto codes_to_255 = [&] { return static_cast<float>(2 * static_cast<int>(random.Below(256)) - 255); };
  const auto codes_to_127 = [&] { return static_cast<float>(random.Below(255)) - 127; };
  const auto signs = [&] { return random.Below(2) == 0 ? -1.0f : 1.0f; };
  const auto multiply = [&](int64_t m, int64_t n, int64_t k, const auto& draw_a, const auto& draw_b) {
    SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k);
    std::vector<float> a_values(m * k), b_values(n * k);
    for (float& value : a_values) value = draw_a();
    for (float& value : b_values) value = draw_b();
    const Array<float> a(*this, a_values), b(*this, b_values), c(*this, m * n);
    Run([&](ExecContext& x, const Kernels& kernels) {
      kernels.gemm_f32(x, false, true, 1.0f, a.matrix(x, m, k, k), b.matrix(x, n, k, k), 0.0f, c.matrix(x, m, n, n));
    });
    ExpectMatrix(c, m, n, n, [&](int64_t i, int64_t j) {
      return reference::Gemm(false, true, 1, {a_values.data(), m, k}, {b_values.data(), n, k}, 0, 0, i, j).value;
    });
  };
  multiply(33, 65, 1000, codes_to_255, signs);
  multiply(65, 34, 1000, codes_to_127, codes_to_127);
}

TEST_P(GemmTest, RowsMayBeBroadcast) {
  if (GetParam().device != Device::kCpu) GTEST_SKIP() << "rows that overlap are an operand of the CPU's kernel alone";
  Random random(3);
  constexpr int64_t kRows = 5, kCols = 4, kInner = 9;
  const Array<float> row(*this, RandomVector(random, kInner)), b(*this, RandomVector(random, kInner * kCols));
  const Array<float> c(*this, kRows * kCols);
  Run([&](ExecContext& x, const Kernels& kernels) {
    kernels.gemm_f32(x, false, false, 1.0f, row.matrix(x, kRows, kInner, /*stride=*/0),
                     b.matrix(x, kInner, kCols, kCols), 0.0f, c.matrix(x, kRows, kCols, kCols));
  });
  std::vector<reference::GemmElement> expected;
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kCols; ++j) {
      expected.push_back(reference::Gemm(false, false, 1, {row.initial().data(), kRows, kInner, 0},
                                         {b.initial().data(), kInner, kCols}, 0, 0, i, j));
    }
  }
  ExpectProduct(c, kCols, kCols, expected, (kInner + 1) * kRoundingError);
}

// On the CPU, oneDNN chooses its instruction set itself, so that one place is enough.
INSTANTIATE_TEST_SUITE_P(Places, GemmTest, testing::Values(Places().front()),
                         [](const testing::TestParamInfo<Place>& info) { return info.param.name; });

}  // namespace
}  // namespace bitgrad
