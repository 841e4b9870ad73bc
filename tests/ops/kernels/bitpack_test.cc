#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

using BitpackTest = KernelTest;

TEST_P(BitpackTest, PacksSignsAndWindows) {
  Random random(1);
  for (const auto& [m, n] : Shapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const int64_t stride = n + 5;
    const Array<float> x(*this, HardVector(random, m * stride));
    const BitArray bits(*this, m, n), window(*this, m, n), alone(*this, m, n);
    Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.pack_signs(c, x.matrix(c, m, n, stride), bits.on(c), window.on(c));
      k.pack_signs(c, x.matrix(c, m, n, stride), alone.on(c), BitMatrixView());
    });
    // Comparisons with NaN are false.
    const auto sign = [&](int64_t i, int64_t j) { return x.initial(i * stride + j) >= 0.0f; };
    ExpectBits(bits, sign);
    ExpectBits(alone, sign);
    ExpectBits(window, [&](int64_t i, int64_t j) { return std::fabs(x.initial(i * stride + j)) <= 1.0f; });
  }
}

TEST_P(BitpackTest, BoundaryValuesHaveTheDocumentedBits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const bool sign[] = {true, true, false, false, true, false, true, false, true, false};
  const bool inside[] = {true, true, false, false, true, true, false, true, false, false};
  const Array<float> x(*this,
                       {0.0f, -0.0f, nan, -nan, 1.0f, -1.0f, std::nextafter(1.0f, 2.0f), -1e-45f, INFINITY, -INFINITY});
  const BitArray bits(*this, 1, 10), window(*this, 1, 10);
  Run([&](ExecContext& c, const Kernels& k) { k.pack_signs(c, x.matrix(c, 1, 10, 10), bits.on(c), window.on(c)); });
  ExpectBits(bits, [&](int64_t, int64_t j) { return sign[j]; });
  ExpectBits(window, [&](int64_t, int64_t j) { return inside[j]; });
}

TEST_P(BitpackTest, UnpacksToPlusMinusOne) {
  Random random(2);
  for (const auto& [m, n] : Shapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const BitArray bits = BitArray::OfRandomBits(*this, random, m, n);
    const Array<float> y(*this, m * (n + 3));
    Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.unpack_signs(c, bits.on(c), y.matrix(c, m, n, n + 3));
    });
    ExpectMatrix(y, m, n, n + 3, [&](int64_t i, int64_t j) { return bits.initial(i, j) ? 1.0f : -1.0f; });
  }
}

TEST_P(BitpackTest, MasksGradients) {
  Random random(3);
  for (const auto& [m, n] : Shapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const int64_t stride = n + 2;
    const BitArray mask = BitArray::OfRandomBits(*this, random, m, n);
    const Array<float> dy(*this, HardVector(random, m * stride)), in_place(*this, dy.initial());
    const Array<float> dx(*this, m * (n + 3));
    Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.mask_by_bits(c, mask.on(c), dy.matrix(c, m, n, stride), dx.matrix(c, m, n, n + 3));
      k.mask_by_bits(c, mask.on(c), in_place.matrix(c, m, n, stride), in_place.matrix(c, m, n, stride));
    });
    // A masked NaN or infinity is a plain 0.
    const auto masked = [&](int64_t i, int64_t j) { return mask.initial(i, j) ? dy.initial(i * stride + j) : 0.0f; };
    ExpectMatrix(dx, m, n, n + 3, masked);
    ExpectMatrix(in_place, m, n, stride, masked);
  }
}

TEST_P(BitpackTest, PacksPlanes) {
  Random random(4);
  for (const int count : {1, 2, 3, 5, 8}) {
    for (const auto& [m, n] : Shapes()) {
      SCOPED_TRACE(testing::Message() << count << " planes, " << m << " x " << n);
      const int64_t stride = n + 1;
      const Array<uint8_t> codes(*this, RandomBytes(random, m * stride));
      std::vector<BitArray> planes;
      for (int b = 0; b < count; ++b) planes.emplace_back(*this, m, n);
      Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        std::vector<BitMatrixView> views;
        for (const BitArray& plane : planes) views.push_back(plane.on(c));
        k.pack_planes(c, codes.matrix(c, m, n, stride), count, views.data());
      });
      for (int b = 0; b < count; ++b) {
        ExpectBits(planes[b], [&](int64_t i, int64_t j) { return (codes.initial(i * stride + j) >> b & 1) != 0; });
      }
    }
  }
}

TEST_P(BitpackTest, CountsOnes) {
  Random random(6);
  auto shapes = Shapes();
  shapes.push_back({3000, 70});
  for (const auto& [m, n] : shapes) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const BitArray bits = BitArray::OfRandomBits(*this, random, m, n);
    const Array<int64_t> count(*this, 1);
    Run([&](ExecContext& c, const Kernels& k) { k.count_ones(c, bits.on(c), count.on(c)); });
    int64_t expected = 0;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) expected += bits.initial(i, j);
    }
    ExpectValues(count, [&](int64_t) { return expected; });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(BitpackTest);

}  // namespace
}  // namespace bitgrad
