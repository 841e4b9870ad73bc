#include "bitgrad/core/bit_matrix.h"

#include <cstdint>
#include <utility>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// The layout is a file format: these numbers never change.
TEST(BitMatrixTest, Layout) {
  EXPECT_EQ(BitMatrix::WordsPerRow(0), 0);
  EXPECT_EQ(BitMatrix::WordsPerRow(1), 8);
  EXPECT_EQ(BitMatrix::WordsPerRow(512), 8);
  EXPECT_EQ(BitMatrix::WordsPerRow(513), 16);
  EXPECT_EQ(BitMatrix::BytesFor(3, 513), 3u * 128);

  BitMatrix bits = BitMatrix::Zeros(2, 600);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bits.view().words) % 64, 0u);
  EXPECT_EQ(bits.view().stride, 16);
  bits.mutable_view().words[0] = 1;                  // (0, 0): the least significant bit
  bits.mutable_view().words[1] = uint64_t{1} << 63;  // (0, 127)
  bits.mutable_view().row(1)[9] = uint64_t{1} << 5;  // (1, 9 * 64 + 5)
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 600; ++j) {
      const bool expected = (i == 0 && (j == 0 || j == 127)) || (i == 1 && j == 581);
      EXPECT_EQ(bits.view().bit(i, j), expected) << i << ", " << j;
    }
  }
}

TEST(BitMatrixTest, MovesAndGivesBackItsMemory) {
  PoolAllocator& pool = *PoolAllocator::New();
  {
    BitMatrix a(3, 100, pool);
    const uint64_t* words = a.view().words;
    BitMatrix b = std::move(a);
    EXPECT_TRUE(a.is_null());  // NOLINT: moved-from is null by contract
    EXPECT_EQ(b.view().words, words);
    EXPECT_EQ(b.rows(), 3);
    EXPECT_EQ(b.cols(), 100);
    b = BitMatrix(1, 1, pool);
    EXPECT_EQ(b.rows(), 1);
  }
  EXPECT_EQ(pool.live_bytes(), 0u);
  pool.Abandon();
}

TEST(BitMatrixTest, Empty) {
  EXPECT_TRUE(BitMatrix().is_null());
  const BitMatrix empty = BitMatrix::Zeros(0, 100);
  EXPECT_FALSE(empty.is_null());
  EXPECT_EQ(empty.byte_size(), 0u);
}

}  // namespace
}  // namespace bitgrad
