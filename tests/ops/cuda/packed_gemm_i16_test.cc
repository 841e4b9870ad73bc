#include "bitgrad/ops/cuda/packed_gemm_i16.h"

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using BITGRAD_CUDA_NAMESPACE::kMostInnerOfI16;
using BITGRAD_CUDA_NAMESPACE::PackedGemmI16;

class CudaPackedGemmI16Test : public CudaTest {
 protected:
  // Compares with the CPU's sums. The gaps between the rows of c must stay unchanged.
  void Compare(BothBits& a, BothBits& b, int64_t gap) {
    const int64_t m = a.on(cpu_).rows, n = b.on(cpu_).rows;
    Both<int16_t> c(gpu_, m * (n + gap));
    std::vector<int16_t> expected = c.of_host();
    PackedGemmI16(gpu_, a.on(gpu_), b.on(gpu_), c.matrix(gpu_, m, n, n + gap));
    ASSERT_TRUE(gpu_.Synchronize().ok()) << gpu_.status();
    std::vector<float> sums(m * n);
    KernelsFor(Device::kCpu).packed_gemm(cpu_, a.on(cpu_), b.on(cpu_), {.floats = {sums.data(), m, n}});
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) expected[i * (n + gap) + j] = static_cast<int16_t>(sums[i * n + j]);
    }
    const std::vector<int16_t> result = c.of_device();
    for (size_t i = 0; i < result.size(); ++i) {
      ASSERT_EQ(result[i], expected[i]) << "cell " << i / (n + gap) << ", " << i % (n + gap);
    }
  }
};

struct Extents3 {
  int64_t m, n, k;
};

// Rows and columns around tiles and groups of eight cells; the small tile, the large one and warpgroups; rows of c that
// are aligned to 16 bytes and that are not.
TEST_F(CudaPackedGemmI16Test, IsTheProduct) {
  TestRandom random(1);
  const std::vector<Extents3> shapes = {{0, 3, 5},        {3, 0, 5},        {2, 9, 0},      {1, 1, 1},
                                        {7, 31, 129},     {16, 32, 64},     {65, 40, 1030}, {63, 136, 257},
                                        {140, 8500, 129}, {255, 8392, 1025}};
  for (const auto& [m, n, k] : shapes) {
    for (const int64_t gap : {0, 1, 8}) {
      if (m * n > 100000 && gap == 1) continue;
      SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << ", gap " << gap);
      BothBits a = Bits(random, m, k), b = Bits(random, n, k);
      Compare(a, b, gap);
    }
  }
}

// Sums of +-K at the largest K.
TEST_F(CudaPackedGemmI16Test, ReachesTheEndsOfInt16) {
  const int64_t k = kMostInnerOfI16, stride = BitMatrix::WordsPerRow(k);
  std::vector<uint64_t> words(2 * stride, 0);
  for (int64_t j = 0; j < k; ++j) words[j / 64] |= uint64_t{1} << (j % 64);
  BothBits both_signs(gpu_, 2, k, words);
  Compare(both_signs, both_signs, 0);
}

}  // namespace
}  // namespace bitgrad
