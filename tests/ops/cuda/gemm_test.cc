#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaGemmTest = CudaTest;

struct Extents3 {
  int64_t m, n, k;
};

TEST_F(CudaGemmTest, Floats) {
  TestRandom random(1);
  for (const auto& [m, n, k] : std::vector<Extents3>{
           {1, 1, 1}, {3, 5, 0}, {0, 3, 4}, {7, 0, 2}, {5, 33, 17}, {64, 31, 129}, {100, 10, 257}, {130, 70, 64}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        for (const float beta : {0.0f, 0.5f}) {
          SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << transpose_a << transpose_b << beta);
          const int64_t a_rows = transpose_a ? k : m, a_cols = transpose_a ? m : k;
          const int64_t b_rows = transpose_b ? n : k, b_cols = transpose_b ? k : n;
          Both<float> a = Uniform(random, a_rows * (a_cols + 1)), b = Uniform(random, b_rows * b_cols);
          Both<float> c = beta == 0 ? Both<float>(gpu_, m * (n + 2)) : Uniform(random, m * (n + 2));
          const double magnitude = 4.0 * static_cast<double>(k) + 2;  // of a sum whose terms are at most 4
          OnBoth([&, m = m, n = n](ExecContext& x, const Kernels& kernels) {
            kernels.gemm_f32(x, transpose_a, transpose_b, 0.75f, a.matrix(x, a_rows, a_cols, a_cols + 1),
                             b.matrix(x, b_rows, b_cols), beta, c.matrix(x, m, n, n + 2));
          });
          // Both sides sum k products and add a few roundings, each of at most 2^-24 of the magnitudes.
          ExpectClose(c, 0, 2 * kRounding * static_cast<double>(k + 3) * magnitude);
        }
      }
    }
  }
}

TEST_F(CudaGemmTest, IntegersAreExact) {
  TestRandom random(2);
  const int64_t m = 65, n = 34, k = 1000;
  const auto integers = [&](int64_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random.Below(255)) - 127;
    return Both<float>(gpu_, values);
  };
  Both<float> a = integers(m * k), b = integers(n * k), c(gpu_, m * n);
  OnBoth([&](ExecContext& x, const Kernels& kernels) {
    kernels.gemm_f32(x, false, true, 1.0f, a.matrix(x, m, k), b.matrix(x, n, k), 0.0f, c.matrix(x, m, n));
  });
  ExpectSame(c);
}

}  // namespace
}  // namespace bitgrad
