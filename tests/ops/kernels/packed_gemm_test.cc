#include "bitgrad/tests/reference/packed_gemm.h"

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <ostream>
#include <vector>

#include "bitgrad/tests/ops/kernels/dot_outputs.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

struct Extents3 {
  int64_t m, n, k;

  int64_t products() const { return m * n * k; }
};

std::ostream& operator<<(std::ostream& out, const Extents3& s) { return out << s.m << " x " << s.n << " x " << s.k; }

// Up to here the reference counts bit by bit, from here on by words.
constexpr int64_t kManyProducts = 10'000'000;

class PackedGemmTest : public KernelTest {
 protected:
  std::vector<Extents3> Products() const {
    constexpr int64_t kSizes[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 129, 1000};
    constexpr int kCount = std::size(kSizes);
    std::vector<Extents3> shapes;
    // Every size as each of the extents.
    for (int i = 0; i < kCount; ++i) {
      for (const int step : {1, 3}) {
        const Extents3 shape = {kSizes[i], kSizes[(i * 5 + step) % kCount], kSizes[(i * 8 + 2 * step) % kCount]};
        if (shape.products() < kManyProducts) shapes.push_back(shape);
      }
    }
    // For the CPU: rows around the tile of 6, columns around panels of 8, 16 and 32 and groups of 64, K around words
    // and lines; shapes that two threads share; several blocks of packed groups; and K beyond what counters of 16 bits
    // can hold.
    for (const int64_t m : {1, 4, 5, 6, 7, 11, 12, 13}) {
      for (const int64_t n : {1, 5, 8, 9, 16, 17, 24, 31, 32, 33, 40, 48, 56, 64, 65, 100})
        shapes.push_back({m, n, 70});
    }
    for (const int64_t k : {0, 1, 63, 64, 65, 511, 512, 513, 1000}) {
      for (const int64_t m : {3, 6}) shapes.push_back({m, 10, k});
    }
    shapes.insert(shapes.end(), {{65, 257, 1000}, {4, 700, 1000}, {13, 600, 200}, {7, 9, 70000}});
    // For a GPU: K around words, cache lines, slices of shared memory and the number of stages; rows and columns around
    // tiles and around kFewRows.
    for (const int64_t k :
         {0, 1, 31, 32, 33, 64, 127, 128, 129, 255, 256, 257, 1000, 1023, 1024, 1025, 2049, 3072, 4096, 5000, 8192}) {
      shapes.push_back({9, 33, k});
      shapes.push_back({3, 65, k});
    }
    for (const int64_t m : {0, 1, 2, 4, 5, 8, 9, 63, 64, 65, 127, 129}) {
      for (const int64_t n : {0, 1, 31, 64, 65, 129, 513}) shapes.push_back({m, n, 130});
    }
    shapes.push_back({10, 7, 30001});
    if (GetParam().device == Device::kCpu) return shapes;
    shapes.push_back({140, 8500, 129});  // the large tile
    // Warpgroups: a GPU without products of bits does not use them, and as bytes these shapes take long to emulate.
    if (std::getenv("BITGRAD_EMULATED_CAPABILITY") == nullptr) {
      for (const int64_t k : {1025, 5 * 1024 + 7}) shapes.push_back({255, 8389, k});
    }
    shapes.push_back({2500, 900, 1024});  // several groups of tiles
    return shapes;
  }

  // Calls body(a, b, dots) for all shapes; `dots` is the reference's result [m, n].
  template <typename Body>
  void ForEachProduct(uint64_t seed, const Body& body) {
    Random random(seed);
    for (const Extents3& s : Products()) {
      SCOPED_TRACE(testing::Message() << s);
      const BitArray a = BitArray::OfRandomBits(*this, random, s.m, s.k);
      const BitArray b = BitArray::OfRandomBits(*this, random, s.n, s.k);
      const auto dot = s.products() < kManyProducts ? reference::Dot : reference::DotOfWords;
      std::vector<int32_t> dots;
      for (int64_t i = 0; i < s.m; ++i) {
        for (int64_t j = 0; j < s.n; ++j) dots.push_back(static_cast<int32_t>(dot(a.initial(), i, b.initial(), j)));
      }
      body(a, b, dots);
      if (HasFailure()) return;
    }
  }
};

TEST_P(PackedGemmTest, EverySizeIsExact) {
  Random random(5);
  ForEachProduct(1, [&](const BitArray& a, const BitArray& b, const std::vector<int32_t>& dots) {
    ExpectDotOutputs(
        *this, random, a.rows(), b.rows(), a.rows(), dots, [&](const auto& f) { Run(f); },
        [&](ExecContext& x, const Kernels& kernels, const DotOutput& out) {
          kernels.packed_gemm(x, a.on(x), b.on(x), out);
        });
  });
}

// The largest possible counts: counters that are narrower than the result must be emptied in time.
TEST_P(PackedGemmTest, OppositeRowsCountEveryBit) {
  for (const int64_t k : {252, 256, 1000, 4096, 65536, 70000}) {
    SCOPED_TRACE(testing::Message() << "k " << k);
    constexpr int64_t kRows = 7, kCols = 66;
    const int64_t stride = BitMatrix::WordsPerRow(k);
    std::vector<uint64_t> ones(kRows * stride, 0);
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t j = 0; j < k; ++j) ones[i * stride + j / 64] |= uint64_t{1} << j % 64;
    }
    const BitArray a(*this, kRows, k, ones), b(*this, kCols, k, std::vector<uint64_t>(kCols * stride, 0));
    const Array<float> c(*this, kRows * kCols);
    Run([&](ExecContext& x, const Kernels& kernels) {
      kernels.packed_gemm(x, a.on(x), b.on(x), {.floats = c.matrix(x, kRows, kCols, kCols)});
    });
    ExpectValues(c, [&](int64_t) { return static_cast<float>(-k); });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(PackedGemmTest);

TEST(PackedGemmReferenceTest, CountsWordsAsBits) {
  Random random(7);
  for (const int64_t k : {0, 1, 63, 64, 65, 600}) {
    BitMatrix bits = BitMatrix::Zeros(2, k);
    for (int64_t i = 0; i < 2; ++i) {
      for (int64_t j = 0; j < k; ++j) bits.mutable_view().row(i)[j / 64] |= uint64_t{random.Below(2)} << j % 64;
    }
    EXPECT_EQ(reference::DotOfWords(bits.view(), 0, bits.view(), 1), reference::Dot(bits.view(), 0, bits.view(), 1));
  }
}

}  // namespace
}  // namespace bitgrad
