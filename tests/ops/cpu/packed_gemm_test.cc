#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/packed_gemm.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

struct Shape3 {
  int64_t m, n, k;
};

// Every size as each of the extents, with rows around the tile of 6, columns around panels of 8, 16 and 32 and groups
// of 64, and K around words and lines; and one shape that two threads share.
std::vector<Shape3> Shapes() {
  constexpr int kCount = std::size(kSizes);
  std::vector<Shape3> shapes;
  for (int i = 0; i < kCount; ++i) {
    // At most one extent of 1000, because the reference is slow.
    for (int step : {1, 3}) {
      const Shape3 shape = {kSizes[i], kSizes[(i * 5 + step) % kCount], kSizes[(i * 8 + 2 * step) % kCount]};
      if (shape.m * shape.n * shape.k < 10'000'000) shapes.push_back(shape);
    }
  }
  for (int64_t m : {1, 4, 5, 6, 7, 11, 12, 13}) {
    for (int64_t n : {1, 5, 8, 9, 16, 17, 24, 31, 32, 33, 40, 48, 56, 64, 65, 100}) {
      shapes.push_back({m, n, 70});
    }
  }
  for (int64_t k : {0, 1, 63, 64, 65, 511, 512, 513, 1000}) {
    for (int64_t m : {3, 6}) shapes.push_back({m, 10, k});
  }
  shapes.push_back({65, 257, 1000});
  shapes.push_back({4, 700, 1000});
  // Several blocks of packed groups; and K beyond what counters of 16 bits can hold.
  shapes.push_back({13, 600, 200});
  shapes.push_back({7, 9, 70000});
  return shapes;
}

class PackedGemmTest : public CpuKernelTest {
 protected:
  // Calls body(a, b, dots) for all shapes; `dots` is the reference's result [m, n].
  template <typename Body>
  void ForEachProblem(uint64_t seed, const Body& body) {
    Random random(seed);
    BITGRAD_TRACE_SEED(random);
    for (const Shape3& s : Shapes()) {
      SCOPED_TRACE(testing::Message() << "m " << s.m << ", n " << s.n << ", k " << s.k);
      const BitMatrix a = RandomBits(random, s.m, s.k);
      const BitMatrix b = RandomBits(random, s.n, s.k);
      TestMatrix<int32_t> dots(s.m, s.n);
      for (int64_t i = 0; i < s.m; ++i) {
        for (int64_t j = 0; j < s.n; ++j) {
          dots.view().at(i, j) = static_cast<int32_t>(reference::Dot(a.view(), i, b.view(), j));
        }
      }
      body(a, b, dots);
      if (HasFatalFailure()) return;
    }
  }
};

TEST_P(PackedGemmTest, IntegersAreExact) {
  ForEachProblem(1, [&](const BitMatrix& a, const BitMatrix& b, const TestMatrix<int32_t>& dots) {
    const std::vector<int32_t> c = OnOneAndTwoThreads([&](ExecContext& context) {
      TestMatrix<int32_t> c(dots.rows(), dots.cols(), 3);
      kernels_.packed_gemm_i32(context, a.view(), b.view(), 0, false, c.view());
      c.ExpectGapsUntouched();
      return c.values();
    });
    for (int64_t i = 0; i < dots.rows(); ++i) {
      for (int64_t j = 0; j < dots.cols(); ++j) {
        ASSERT_EQ(c[i * (dots.cols() + 3) + j], dots.at(i, j)) << "at (" << i << ", " << j << ")";
      }
    }
  });
}

TEST_P(PackedGemmTest, ShiftedSumsAccumulate) {
  ForEachProblem(2, [&](const BitMatrix& a, const BitMatrix& b, const TestMatrix<int32_t>& dots) {
    TestMatrix<int32_t> c(dots.rows(), dots.cols(), 1);
    kernels_.packed_gemm_i32(one_, a.view(), b.view(), 3, false, c.view());
    kernels_.packed_gemm_i32(one_, a.view(), b.view(), 1, true, c.view());
    c.ExpectGapsUntouched();
    for (int64_t i = 0; i < dots.rows(); ++i) {
      for (int64_t j = 0; j < dots.cols(); ++j) ASSERT_EQ(c.at(i, j), 10 * dots.at(i, j));
    }
  });
}

TEST_P(PackedGemmTest, FloatsAreTheScaledIntegers) {
  ForEachProblem(3, [&](const BitMatrix& a, const BitMatrix& b, const TestMatrix<int32_t>& dots) {
    const float scale = 0.37f;
    const std::vector<float> c = OnOneAndTwoThreads([&](ExecContext& context) {
      TestMatrix<float> c(dots.rows(), dots.cols());
      kernels_.packed_gemm_f32(context, a.view(), b.view(), scale, c.view());
      return c.values();
    });
    for (int64_t i = 0; i < dots.rows(); ++i) {
      for (int64_t j = 0; j < dots.cols(); ++j) {
        ASSERT_EQ(c[i * dots.cols() + j], static_cast<float>(dots.at(i, j)) * scale);
      }
    }
  });
}

TEST_P(PackedGemmTest, ThresholdsAreInclusiveAndFlip) {
  Random random(5);
  ForEachProblem(4, [&](const BitMatrix& a, const BitMatrix& b, const TestMatrix<int32_t>& dots) {
    std::vector<int32_t> threshold(dots.cols());
    std::vector<uint8_t> flip(dots.cols());
    for (int64_t j = 0; j < dots.cols(); ++j) {
      // Mostly a value that occurs in the column, so that the case of equality is tested.
      threshold[j] = dots.rows() > 0 && j % 4 != 0 ? dots.at(random.Below(static_cast<uint32_t>(dots.rows())), j)
                                                   : static_cast<int32_t>(random.Below(41)) - 20;
      flip[j] = static_cast<uint8_t>(random.Below(2));
    }
    std::vector<uint64_t> words = OnOneAndTwoThreads([&](ExecContext& context) {
      BitMatrix c = GarbageBits(dots.rows(), dots.cols());
      kernels_.packed_gemm_threshold(context, a.view(), b.view(), threshold.data(), flip.data(), c.mutable_view());
      ExpectBits(c, [&](int64_t i, int64_t j) { return (dots.at(i, j) >= threshold[j]) != (flip[j] != 0); });
      return std::vector<uint64_t>(c.view().words, c.view().words + c.byte_size() / 8);
    });
  });
}

// The largest possible counts: counters that are narrower than the result must be emptied in time.
TEST_P(PackedGemmTest, OppositeRowsCountEveryBit) {
  for (int64_t k : {252, 256, 1000, 4096, 65536, 70000}) {
    SCOPED_TRACE(testing::Message() << "k " << k);
    const int64_t m = 7, n = 66;
    BitMatrix ones = BitMatrix::Zeros(m, k);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < k; ++j) ones.mutable_view().row(i)[j / 64] |= uint64_t{1} << j % 64;
    }
    const BitMatrix zeros = BitMatrix::Zeros(n, k);
    TestMatrix<int32_t> c(m, n);
    kernels_.packed_gemm_i32(one_, ones.view(), zeros.view(), 0, false, c.view());
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) ASSERT_EQ(c.at(i, j), -k) << "at (" << i << ", " << j << ")";
    }
  }
}

// The products of the planes of k-bit codes, added up with shift and accumulate, are the product of the codes.
TEST_P(PackedGemmTest, BitPlanesMultiplySymmetricCodes) {
  Random random(6);
  BITGRAD_TRACE_SEED(random);
  constexpr int kBits = 3;
  const int64_t m = 7, n = 33, k = 129;
  auto codes = TestMatrix<uint8_t>::Of(m, k, 0, [&] { return static_cast<uint8_t>(random.Below(1 << kBits)); });
  const BitMatrix b = RandomBits(random, n, k);
  std::vector<BitMatrix> planes;
  std::vector<BitMatrixView> views;
  for (int bit = 0; bit < kBits; ++bit) {
    planes.push_back(GarbageBits(m, k));
    views.push_back(planes.back().mutable_view());
  }
  kernels_.pack_planes(one_, codes.view(), kBits, views.data());
  TestMatrix<int32_t> c(m, n);
  for (int bit = 0; bit < kBits; ++bit) {
    kernels_.packed_gemm_i32(one_, planes[bit].view(), b.view(), bit, bit > 0, c.view());
  }
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      int32_t expected = 0;
      for (int64_t l = 0; l < k; ++l) {
        expected += (2 * codes.at(i, l) - ((1 << kBits) - 1)) * (b.view().bit(j, l) ? 1 : -1);
      }
      ASSERT_EQ(c.at(i, j), expected);
    }
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(PackedGemmTest);

}  // namespace
}  // namespace bitgrad
