// Compares the simple kernel with the CPU's, and the tensor cores' kernels with the simple one, which is fast enough
// for large sizes.

#include "bitgrad/ops/cuda/popcount_gemm.h"

#include <cstdint>
#include <vector>

#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using BITGRAD_CUDA_NAMESPACE::PopcountGemmI32;

class CudaPopcountGemmTest : public CudaTest {};

struct Extents3 {
  int64_t m, n, k;
};

TEST_F(CudaPopcountGemmTest, IsTheCpusProduct) {
  TestRandom random(1);
  for (const auto& [m, n, k] :
       std::vector<Extents3>{{1, 1, 1}, {3, 70, 64}, {33, 5, 65}, {20, 21, 1000}, {7, 300, 0}, {0, 4, 9}}) {
    SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k);
    BothBits a = Bits(random, m, k), b = Bits(random, n, k);
    Both<int32_t> c(gpu_, m * n);
    PopcountGemmI32(gpu_, a.on(gpu_), b.on(gpu_), c.matrix(gpu_, m, n));
    ASSERT_TRUE(gpu_.Synchronize().ok()) << gpu_.status();
    std::vector<float> sums(m * n);
    KernelsFor(Device::kCpu).packed_gemm(cpu_, a.on(cpu_), b.on(cpu_), {.floats = {sums.data(), m, n}});
    ASSERT_TRUE(c.of_device() == std::vector<int32_t>(sums.begin(), sums.end()));
  }
}

// Whole waves of large tiles, and K as large as layers have it; on the emulator only a few tiles.
TEST_F(CudaPopcountGemmTest, AgreesWithTensorCoresOnLargeProducts) {
#ifdef BITGRAD_CUDA_EMULATED
  const std::vector<Extents3> sizes = {{260, 270, 1025}};
#else
  const std::vector<Extents3> sizes = {{4096, 4096, 4096}, {4099, 5003, 8192}, {10000, 4096, 784}, {2048, 2050, 30001}};
#endif
  TestRandom random(2);
  for (const auto& [m, n, k] : sizes) {
    SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k);
    BothBits a = Bits(random, m, k), b = Bits(random, n, k);
    Both<int32_t> plain(gpu_, m * n);
    Both<float> tensor(gpu_, m * n);
    PopcountGemmI32(gpu_, a.on(gpu_), b.on(gpu_), plain.matrix(gpu_, m, n));
    KernelsFor(Device::kCuda).packed_gemm(gpu_, a.on(gpu_), b.on(gpu_), {.floats = tensor.matrix(gpu_, m, n)});
    ASSERT_TRUE(gpu_.Synchronize().ok()) << gpu_.status();
    const std::vector<float> sums = tensor.of_device();
    ASSERT_TRUE(plain.of_device() == std::vector<int32_t>(sums.begin(), sums.end()));
  }
}

}  // namespace
}  // namespace bitgrad
