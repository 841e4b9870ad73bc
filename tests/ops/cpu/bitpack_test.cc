#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using BitpackTest = CpuKernelTest;

std::vector<uint64_t> WordsOf(const BitMatrix& bits) {
  return {bits.view().words, bits.view().words + bits.byte_size() / sizeof(uint64_t)};
}

TEST_P(BitpackTest, PacksSignsAndWindows) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const auto x = HardFloats(random, m, n, 5);
    OnOneAndTwoThreads([&](ExecContext& context) {
      BitMatrix bits = GarbageBits(m, n);
      BitMatrix window = GarbageBits(m, n);
      kernels_.pack_signs(context, x.view(), bits.mutable_view(), window.mutable_view());
      // Comparisons with NaN are false.
      ExpectBits(bits, [&](int64_t i, int64_t j) { return x.at(i, j) >= 0.0f; });
      ExpectBits(window, [&](int64_t i, int64_t j) { return std::fabs(x.at(i, j)) <= 1.0f; });

      BitMatrix alone = GarbageBits(m, n);
      kernels_.pack_signs(context, x.view(), alone.mutable_view(), BitMatrixView());
      EXPECT_EQ(WordsOf(alone), WordsOf(bits));
      return WordsOf(bits);
    });
  }
}

TEST_P(BitpackTest, BoundaryValuesHaveTheDocumentedBits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float x[] = {0.0f, -0.0f, nan, -nan, 1.0f, -1.0f, std::nextafter(1.0f, 2.0f), -1e-45f};
  const bool sign[] = {true, true, false, false, true, false, true, false};
  const bool inside[] = {true, true, false, false, true, true, false, true};
  BitMatrix bits = GarbageBits(1, 8);
  BitMatrix window = GarbageBits(1, 8);
  kernels_.pack_signs(one_, {x, 1, 8}, bits.mutable_view(), window.mutable_view());
  ExpectBits(bits, [&](int64_t, int64_t j) { return sign[j]; });
  ExpectBits(window, [&](int64_t, int64_t j) { return inside[j]; });
}

TEST_P(BitpackTest, UnpacksToPlusMinusOne) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const BitMatrix bits = RandomBits(random, m, n);
    OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      TestMatrix<float> y(m, n, 3);
      kernels_.unpack_signs(context, bits.view(), y.view());
      y.ExpectGapsUntouched();
      ExpectSame(
          m, n, [&](int64_t i, int64_t j) { return y.at(i, j); },
          [&](int64_t i, int64_t j) { return bits.view().bit(i, j) ? 1.0f : -1.0f; });
      return y.values();
    });
  }
}

TEST_P(BitpackTest, MasksGradients) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const BitMatrix mask = RandomBits(random, m, n);
    const auto dy = HardFloats(random, m, n, 2);
    OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      TestMatrix<float> dx(m, n, 3);
      kernels_.mask_by_bits(context, mask.view(), dy.view(), dx.view());
      dx.ExpectGapsUntouched();
      // A masked NaN or infinity is a plain 0.
      const auto expected = [&](int64_t i, int64_t j) { return mask.view().bit(i, j) ? dy.at(i, j) : 0.0f; };
      ExpectSame(
          m, n, [&](int64_t i, int64_t j) { return dx.at(i, j); }, expected);
      auto in_place = dy;
      kernels_.mask_by_bits(context, mask.view(), in_place.view(), in_place.view());
      ExpectSame(
          m, n, [&](int64_t i, int64_t j) { return in_place.at(i, j); }, expected);
      return dx.values();
    });
  }
}

TEST_P(BitpackTest, PacksPlanes) {
  Random random(4);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    const int count = 1 + static_cast<int>(random.Below(8));
    SCOPED_TRACE(testing::Message() << m << " x " << n << ", " << count << " planes");
    const auto codes =
        TestMatrix<uint8_t>::Of(m, n, 1, [&] { return static_cast<uint8_t>(random.Below(1u << count)); });
    OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      std::vector<BitMatrix> planes;
      std::vector<BitMatrixView> views;
      for (int b = 0; b < count; ++b) {
        planes.push_back(GarbageBits(m, n));
        views.push_back(planes.back().mutable_view());
      }
      kernels_.pack_planes(context, codes.view(), count, views.data());
      for (int b = 0; b < count; ++b) {
        ExpectBits(planes[b], [&](int64_t i, int64_t j) { return (codes.at(i, j) >> b & 1) != 0; });
      }
      return WordsOf(planes[0]);
    });
  }
}

TEST_P(BitpackTest, ComparesWithThresholds) {
  Random random(5);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const auto draw = [&] { return static_cast<int32_t>(random.Below(7)) - 3; };
    const auto x = TestMatrix<int32_t>::Of(m, n, 4, draw);
    const auto threshold = TestMatrix<int32_t>::Of(1, n, 0, draw);
    const auto flip = TestMatrix<uint8_t>::Of(1, n, 0, [&] { return static_cast<uint8_t>(random.Below(2)); });
    OnOneAndTwoThreads([&, m = m, n = n](ExecContext& context) {
      BitMatrix bits = GarbageBits(m, n);
      kernels_.threshold_to_bits(context, x.view(), threshold.values().data(), flip.values().data(),
                                 bits.mutable_view());
      ExpectBits(bits,
                 [&](int64_t i, int64_t j) { return (x.at(i, j) >= threshold.at(0, j)) != (flip.at(0, j) == 1); });
      return WordsOf(bits);
    });
  }
}

TEST_P(BitpackTest, CountsOnes) {
  Random random(6);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [m, n] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    const BitMatrix bits = RandomBits(random, m, n);
    int64_t expected = 0;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) expected += bits.view().bit(i, j);
    }
    const auto counts = OnOneAndTwoThreads([&](ExecContext& context) {
      int64_t count = -1;
      kernels_.count_ones(context, bits.view(), &count);
      return std::vector<int64_t>{count};
    });
    EXPECT_EQ(counts[0], expected);
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(BitpackTest);

}  // namespace
}  // namespace bitgrad
