#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/cuda/sign_gemm.h"
#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaSignGemmTest = CudaTest;

struct Extents3 {
  int64_t m, n, k;
};

std::vector<Extents3> Shapes3() {
  return {{0, 5, 3},      {3, 0, 4},      {5, 7, 0},       {1, 1, 1},       {7, 31, 15},
          {10, 33, 31},   {33, 64, 32},   {64, 65, 33},    {65, 127, 63},   {63, 129, 64},
          {100, 130, 65}, {17, 300, 129}, {150, 261, 205}, {1410, 1500, 40}};
}

double Sign(ConstBitMatrixView bits, int64_t i, int64_t j) { return bits.bit(i, j) ? 1 : -1; }

// The product in memory, which the kernel chooses only for large operands (tests/ops/kernels has the cases for the
// kernel).
TEST_F(CudaSignGemmTest, InMemory) {
  TestRandom random(1);
  for (const BackwardPrecision precision :
       {BackwardPrecision::kBf16, BackwardPrecision::kBf16x2, BackwardPrecision::kFloat32}) {
    ExecContext gpu({.device = Device::kCuda, .backward = precision});
    // The relative rest of a number after subtracting that many bf16 pieces.
    const double kept = std::ldexp(1.0, -8 * static_cast<int>(precision));
    for (const auto& [m, n, k] : Shapes3()) {
      for (const int variant : {0, 1}) {
        const bool transpose = variant != 0;
        if ((m > 1000 && variant != 0) || m * n * k == 0) continue;
        const int64_t stride = n / 4 * 4 + 4;
        SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << (transpose ? " transposed" : "")
                                        << ", pieces " << static_cast<int>(precision) << ", from row to row "
                                        << stride);
        const int64_t a_rows = transpose ? k : m, a_cols = transpose ? m : k;
        Both<float> a = Uniform(random, a_rows * (a_cols + 3)), c(gpu_, m * stride);
        BothBits b = Bits(random, k, n);
        const ConstMatrixView<float> a_view = a.matrix(gpu, a_rows, a_cols, a_cols + 3);
        const MatrixView<float> c_view = c.matrix(gpu, m, n, stride);
        Both<float> factor(gpu, std::vector<float>{1.5f});
        // A number of the host, or one in the device's memory.
        const ScaleView scale = (variant + k) % 2 == 0 ? ScaleView(0.75f) : ScaleView(0.5f, factor.on(gpu), 0);
        BITGRAD_CUDA_NAMESPACE::SignGemmInMemory(gpu, transpose, scale, a_view, b.on(gpu), c_view);
        ASSERT_TRUE(gpu.Synchronize().ok()) << gpu.status();
        const std::vector<float> result = c.of_device();
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            double sum = 0, magnitude = 0;
            for (int64_t l = 0; l < k; ++l) {
              const double x = a.of_host()[transpose ? l * (a_cols + 3) + i : i * (a_cols + 3) + l];
              sum += x * Sign(b.on(cpu_), l, j);
              magnitude += std::fabs(x);
            }
            // The error of the operand's pieces, and as many roundings (or truncations, twice as large) as there are
            // terms. In memory each piece has its own sum; scaling it and adding it to the others are two more
            // roundings, of the size of the largest sum.
            const double tolerance = 0.75 * magnitude * (kept + 2 * kRounding * (3 * k + 2 + 2));
            ASSERT_NEAR(result[i * stride + j], 0.75 * sum, tolerance) << "cell " << i << ", " << j;
          }
          if (i + 1 < m) {
            ASSERT_EQ(std::memcmp(&result[i * stride + n], "\xa5\xa5\xa5\xa5", 4), 0) << "gap of row " << i;
          }
        }
      }
    }
  }
}

// cuBLASLt is used only where it can be faster.
TEST_F(CudaSignGemmTest, NeedsAlignedRowsAndLargeProductsForMemory) {
  using BITGRAD_CUDA_NAMESPACE::IsFasterInMemory;
  float* const aligned = reinterpret_cast<float*>(uintptr_t{1} << 20);  // never dereferenced
  for (const int64_t size : {0, 1, 10}) {
    EXPECT_FALSE(IsFasterInMemory(BackwardPrecision::kBf16, size, {aligned, size, size, 12}));
  }
  EXPECT_FALSE(IsFasterInMemory(BackwardPrecision::kBf16, 8192, {aligned + 1, 8192, 8192}));
  EXPECT_FALSE(IsFasterInMemory(BackwardPrecision::kBf16, 8192, {aligned, 8192, 8192, 8193}));
}

}  // namespace
}  // namespace bitgrad
