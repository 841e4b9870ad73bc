#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

// One shape of a product: rows, columns, K.
struct GemmShape {
  int64_t m, n, k;
};

std::ostream& operator<<(std::ostream& out, const GemmShape& s) { return out << s.m << " x " << s.n << " x " << s.k; }

class CudaPackedGemmTest : public CudaTest, public testing::WithParamInterface<GemmShape> {};

// K around words, cache lines, slices of shared memory and the number of stages; rows and columns around tiles and
// around kFewRows.
std::vector<GemmShape> GemmShapes() {
  std::vector<GemmShape> shapes;
  for (const int64_t k :
       {0, 1, 31, 32, 33, 64, 127, 128, 129, 255, 256, 257, 1000, 1023, 1024, 1025, 2049, 3072, 4096, 5000, 8192}) {
    shapes.push_back({9, 33, k});
    shapes.push_back({3, 65, k});
  }
  for (const int64_t m : {0, 1, 2, 4, 5, 8, 9, 63, 64, 65, 127, 129}) {
    for (const int64_t n : {0, 1, 31, 64, 65, 129, 513}) shapes.push_back({m, n, 130});
  }
  shapes.push_back({140, 8500, 129});  // the large tile
  // Warpgroups: a GPU without products of bits does not use them, and as bytes these shapes take long to emulate.
  if (std::getenv("BITGRAD_EMULATED_CAPABILITY") == nullptr) {
    for (const int64_t k : {1025, 5 * 1024 + 7}) shapes.push_back({255, 8389, k});
  }
  shapes.push_back({2500, 900, 1024});  // several groups of tiles
  shapes.push_back({10, 7, 30001});
  return shapes;
}

TEST_P(CudaPackedGemmTest, Int32) {
  const auto& [m, n, k] = GetParam();
  TestRandom random(1);
  BothBits a = Bits(random, m, k), b = Bits(random, n, k);
  Both<int32_t> c(gpu_, m * (n + 3)), sum(gpu_, std::vector<int32_t>(m * n, 17));
  OnBoth([&, m = m, n = n](ExecContext& x, const Kernels& kernels) {
    kernels.packed_gemm_i32(x, a.on(x), b.on(x), 0, false, c.matrix(x, m, n, n + 3));
    kernels.packed_gemm_i32(x, a.on(x), b.on(x), 3, true, sum.matrix(x, m, n));
  });
  ExpectSame(c);
  ExpectSame(sum);
}

TEST_P(CudaPackedGemmTest, Float) {
  const auto& [m, n, k] = GetParam();
  TestRandom random(2);
  BothBits a = Bits(random, m, k), b = Bits(random, n, k);
  Both<float> c(gpu_, m * (n + 1));
  OnBoth([&, m = m, n = n](ExecContext& x, const Kernels& kernels) {
    kernels.packed_gemm_f32(x, a.on(x), b.on(x), 0.3f, c.matrix(x, m, n, n + 1));
  });
  ExpectSame(c);
}

TEST_P(CudaPackedGemmTest, Threshold) {
  const auto& [m, n, k] = GetParam();
  TestRandom random(3);
  BothBits a = Bits(random, m, k), b = Bits(random, n, k);
  std::vector<int32_t> threshold(n);
  std::vector<uint8_t> flip(n);
  for (int64_t j = 0; j < n; ++j) {
    threshold[j] = static_cast<int32_t>(random.Below(40)) - 20;
    flip[j] = static_cast<uint8_t>(random.Below(2));
  }
  if (n > 1) threshold[0] = std::numeric_limits<int32_t>::min();
  if (n > 1) threshold[1] = std::numeric_limits<int32_t>::max();
  Both<int32_t> thresholds(gpu_, threshold);
  Both<uint8_t> flips(gpu_, flip);
  BothBits c(gpu_, m, n);
  OnBoth([&](ExecContext& x, const Kernels& kernels) {
    kernels.packed_gemm_threshold(x, a.on(x), b.on(x), thresholds.on(x), flips.on(x), c.on(x));
  });
  ExpectSame(c);
}

INSTANTIATE_TEST_SUITE_P(Shapes, CudaPackedGemmTest, testing::ValuesIn(GemmShapes()));

}  // namespace
}  // namespace bitgrad
