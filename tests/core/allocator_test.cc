#include "bitgrad/core/allocator.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

struct Abandon {
  void operator()(PoolAllocator* pool) const { pool->Abandon(); }
};
using Pool = std::unique_ptr<PoolAllocator, Abandon>;

bool IsAligned(const void* block) { return reinterpret_cast<uintptr_t>(block) % kAlignment == 0; }

TEST(HeapAllocatorTest, BlocksAreAlignedAndWritable) {
  for (size_t bytes : {0, 1, 63, 64, 65, 1000, 1 << 20}) {
    void* block = HeapAllocator().Allocate(bytes);
    ASSERT_NE(block, nullptr);
    EXPECT_TRUE(IsAligned(block));
    std::memset(block, 0xAB, bytes);
    HeapAllocator().Deallocate(block, bytes);
  }
}

// Sizes up to some kilobytes and around powers of two. A block must hold as many bytes as were requested (the address
// sanitizer checks the writes), and the next request of the same size must get it back.
TEST(PoolAllocatorTest, BlocksHoldTheirSizeAndComeBack) {
  const Pool owner(PoolAllocator::New());
  PoolAllocator& pool = *owner;
  std::vector<size_t> sizes;
  for (size_t bytes = 0; bytes <= 3000; ++bytes) sizes.push_back(bytes);
  for (size_t bytes = 4096; bytes <= (size_t{1} << 24); bytes *= 2) {
    for (size_t near : {bytes - 1, bytes, bytes + 1, bytes + bytes / 4, bytes + bytes / 4 + 1}) {
      sizes.push_back(near);
    }
  }
  for (size_t bytes : sizes) {
    SCOPED_TRACE(bytes);
    void* block = pool.Allocate(bytes);
    ASSERT_TRUE(IsAligned(block));
    std::memset(block, 0xCD, bytes);
    ASSERT_GE(pool.live_bytes(), bytes);
    // At most a fifth of a block is unused, except in the smallest blocks.
    ASSERT_LE(pool.live_bytes() * 4, std::max<size_t>(bytes, 256) * 5 + 4 * kAlignment);
    pool.Deallocate(block, bytes);
    const int64_t before = pool.system_allocations();
    void* again = pool.Allocate(bytes);
    EXPECT_EQ(again, block);
    EXPECT_EQ(pool.system_allocations(), before);
    pool.Deallocate(again, bytes);
  }
  EXPECT_EQ(pool.live_bytes(), 0u);
}

TEST(PoolAllocatorTest, RepeatedStepsAskTheSystemForNothing) {
  const Pool owner(PoolAllocator::New());
  PoolAllocator& pool = *owner;
  const auto step = [&] {
    std::vector<std::pair<void*, size_t>> blocks;
    for (size_t bytes : {100, 4000, 4000, 1 << 20, 65, 300000}) blocks.push_back({pool.Allocate(bytes), bytes});
    for (const auto& [block, bytes] : blocks) pool.Deallocate(block, bytes);
  };
  step();
  const int64_t allocations = pool.system_allocations();
  const size_t reserved = pool.reserved_bytes();
  const size_t peak = pool.peak_bytes();
  EXPECT_EQ(allocations, 6);
  for (int i = 0; i < 1000; ++i) step();
  EXPECT_EQ(pool.system_allocations(), allocations);
  EXPECT_EQ(pool.reserved_bytes(), reserved);
  EXPECT_EQ(pool.peak_bytes(), peak);
  EXPECT_EQ(pool.live_bytes(), 0u);
}

TEST(PoolAllocatorTest, LiveBlocksAreDistinct) {
  const Pool owner(PoolAllocator::New());
  PoolAllocator& pool = *owner;
  char* a = static_cast<char*>(pool.Allocate(100));
  char* b = static_cast<char*>(pool.Allocate(100));
  EXPECT_NE(a, b);
  std::memset(a, 1, 100);
  std::memset(b, 2, 100);
  EXPECT_EQ(a[99], 1);
  pool.Deallocate(a, 100);
  pool.Deallocate(b, 100);
}

// The address sanitizer finds a pool that is destroyed too early, the leak checker one that never is.
TEST(PoolAllocatorTest, BlocksMayOutliveTheOwner) {
  Pool owner(PoolAllocator::New());
  PoolAllocator& pool = *owner;
  void* a = pool.Allocate(100);
  void* b = pool.Allocate(200);
  const size_t both = pool.live_bytes();
  owner.reset();
  EXPECT_EQ(pool.live_bytes(), both);
  std::memset(a, 1, 100);
  pool.Deallocate(a, 100);
  EXPECT_GT(pool.live_bytes(), 0u);
  EXPECT_LT(pool.live_bytes(), both);
  std::memset(b, 1, 200);
  pool.Deallocate(b, 200);
}

// Blocks of huge pages: sizes around and between multiples of them, written to their ends.
TEST(AllocatorTest, LargeBlocks) {
  constexpr size_t kMiB = size_t{1} << 20;
  for (size_t bytes : {4 * kMiB - 1, 4 * kMiB, 4 * kMiB + 64, 5 * kMiB, 7 * kMiB + 1}) {
    void* block = HeapAllocator().Allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % kAlignment, 0u);
    std::memset(block, 1, bytes);
    HeapAllocator().Deallocate(block, bytes);
  }
}

}  // namespace
}  // namespace bitgrad
