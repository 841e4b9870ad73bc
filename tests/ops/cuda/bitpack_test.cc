#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

class CudaBitpackTest : public CudaTest {
 protected:
  // Shapes() and rows around those of several lines of bits.
  static std::vector<std::pair<int64_t, int64_t>> BitShapes() {
    auto shapes = Shapes();
    for (const int64_t cols : {0, 128, 511, 512, 513, 1024, 1537}) shapes.push_back({3, cols});
    return shapes;
  }
  Both<float> WithEdges(TestRandom& random, int64_t count) {
    std::vector<float> values(count);
    const float edges[] = {0.0f, -0.0f, 1.0f, -1.0f, NAN, INFINITY, -INFINITY, 1.0000001f, -1.0000001f, -1e-40f};
    for (float& value : values) {
      const uint32_t edge = random.Below(20);
      value = edge < std::size(edges) ? edges[edge] : random.Uniform(-2, 2);
    }
    return Both<float>(gpu_, std::move(values));
  }
};

TEST_F(CudaBitpackTest, PacksSigns) {
  TestRandom random(1);
  for (const auto& [m, n] : BitShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    Both<float> x = WithEdges(random, m * (n + 3));
    BothBits bits(gpu_, m, n), window(gpu_, m, n), alone(gpu_, m, n);
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.pack_signs(c, x.matrix(c, m, n, n + 3), bits.on(c), window.on(c));
      k.pack_signs(c, x.matrix(c, m, n, n + 3), alone.on(c), {});
    });
    ExpectSame(bits);
    ExpectSame(window);
    ExpectSame(alone);
  }
}

TEST_F(CudaBitpackTest, UnpacksSignsAndMasks) {
  TestRandom random(2);
  for (const auto& [m, n] : BitShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    BothBits bits = Bits(random, m, n);
    Both<float> dy = WithEdges(random, m * (n + 1)), y(gpu_, m * (n + 2)), dx(gpu_, m * (n + 3));
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.unpack_signs(c, bits.on(c), y.matrix(c, m, n, n + 2));
      k.mask_by_bits(c, bits.on(c), dy.matrix(c, m, n, n + 1), dx.matrix(c, m, n, n + 3));
      k.mask_by_bits(c, bits.on(c), dy.matrix(c, m, n, n + 1), dy.matrix(c, m, n, n + 1));
    });
    ExpectSame(y);
    ExpectSame(dx);
    ExpectSame(dy);
  }
}

TEST_F(CudaBitpackTest, PacksPlanes) {
  TestRandom random(3);
  for (const int count : {1, 2, 3, 8}) {
    for (const auto& [m, n] : BitShapes()) {
      SCOPED_TRACE(testing::Message() << count << " planes, " << m << " x " << n);
      std::vector<uint8_t> bytes(m * (n + 5));
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Below(256));
      Both<uint8_t> codes(gpu_, std::move(bytes));
      std::vector<BothBits> planes;
      for (int b = 0; b < count; ++b) planes.emplace_back(gpu_, m, n);
      OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        std::vector<BitMatrixView> views;
        for (BothBits& plane : planes) views.push_back(plane.on(c));
        k.pack_planes(c, codes.matrix(c, m, n, n + 5), count, views.data());
      });
      for (BothBits& plane : planes) ExpectSame(plane);
    }
  }
}

TEST_F(CudaBitpackTest, ComparesWithThresholds) {
  TestRandom random(4);
  for (const auto& [m, n] : BitShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    std::vector<int32_t> sums(m * (n + 3)), thresholds(n);
    std::vector<uint8_t> flips(n);
    for (int32_t& sum : sums) sum = static_cast<int32_t>(random.Below(9)) - 4;
    for (int32_t& threshold : thresholds) threshold = static_cast<int32_t>(random.Below(9)) - 4;
    for (uint8_t& flip : flips) flip = static_cast<uint8_t>(random.Below(2));
    if (n > 1) thresholds[0] = INT32_MIN, thresholds[1] = INT32_MAX;
    Both<int32_t> x(gpu_, std::move(sums)), threshold(gpu_, std::move(thresholds));
    Both<uint8_t> flip(gpu_, std::move(flips));
    BothBits bits(gpu_, m, n);
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.threshold_to_bits(c, x.matrix(c, m, n, n + 3), threshold.on(c), flip.on(c), bits.on(c));
    });
    ExpectSame(bits);
  }
}

TEST_F(CudaBitpackTest, CountsOnes) {
  TestRandom random(5);
  auto shapes = BitShapes();
  shapes.push_back({3000, 70});
  for (const auto& [m, n] : shapes) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    BothBits bits = Bits(random, m, n);
    Both<int64_t> count(gpu_, 1);
    OnBoth([&](ExecContext& c, const Kernels& k) { k.count_ones(c, bits.on(c), count.on(c)); });
    ExpectSame(count);
  }
}

}  // namespace
}  // namespace bitgrad
