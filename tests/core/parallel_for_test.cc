#include "bitgrad/core/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(ParallelForTest, CoversEveryElementOnce) {
  for (int threads : {1, 2, 3, 8}) {
    for (int64_t count : {0, 1, 2, 7, 64, 1000}) {
      for (int64_t min_chunk : {1, 3, 64, 5000}) {
        SCOPED_TRACE(testing::Message() << threads << " threads, " << count << ", " << min_chunk);
        std::vector<std::atomic<int>> visits(count);
        std::atomic<int> calls = 0;
        std::atomic<int64_t> smallest = count;
        ParallelFor(threads, count, min_chunk, [&](int64_t begin, int64_t end) {
          ++calls;
          int64_t before = smallest;
          while (end - begin < before && !smallest.compare_exchange_weak(before, end - begin)) {
          }
          for (int64_t i = begin; i < end; ++i) ++visits[i];
        });
        for (int64_t i = 0; i < count; ++i) ASSERT_EQ(visits[i], 1) << i;
        EXPECT_LE(calls, threads);
        EXPECT_TRUE(calls <= 1 || smallest >= min_chunk) << smallest;
        if (count == 0) {
          EXPECT_EQ(calls, 0);
        }
      }
    }
  }
}

TEST(ParallelForTest, UsesTheThreads) {
  std::atomic<int> calls = 0;
  ParallelFor(2, 100, 10, [&](int64_t, int64_t) { ++calls; });
  EXPECT_EQ(calls, 2);
  calls = 0;
  ParallelFor(2, 10, 10, [&](int64_t, int64_t) { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(ParallelForBlocksTest, BlocksDoNotDependOnThreads) {
  for (int64_t count : {0, 1, 99, 100, 101, 1000}) {
    std::vector<std::pair<int64_t, int64_t>> first;
    for (int threads : {1, 2, 5}) {
      std::vector<std::pair<int64_t, int64_t>> blocks((count + 99) / 100);
      ParallelForBlocks(threads, count, 100, [&](int64_t block, int64_t begin, int64_t end) {
        blocks[block] = {begin, end};
      });
      for (size_t b = 0; b < blocks.size(); ++b) {
        EXPECT_EQ(blocks[b].first, static_cast<int64_t>(b) * 100);
        EXPECT_EQ(blocks[b].second, std::min<int64_t>(count, static_cast<int64_t>(b + 1) * 100));
      }
      if (threads == 1) first = blocks;
      EXPECT_EQ(blocks, first);
    }
  }
}

}  // namespace
}  // namespace bitgrad
