#include "bitgrad/data/prefetch_queue.h"

#include <time.h>
#include <new>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using std::chrono::milliseconds;

// Makes 0, 1, ..., count - 1.
auto Counter(int count) {
  return [count](int64_t index, int* slot) {
    if (index >= count) return false;
    *slot = static_cast<int>(index);
    return true;
  };
}

TEST(PrefetchQueueTest, GivesAllValuesInOrder) {
  for (const int workers : {1, 2, 3, 8}) {
    for (const int depth : {1, 2, 5}) {
      for (const int count : {0, 1, 2, 3, 1000}) {
        PrefetchQueue<int> queue(depth, workers, Counter(count));
        for (int i = 0; i < count; ++i) {
          const int* value = queue.Next();
          ASSERT_NE(value, nullptr);
          EXPECT_EQ(*value, i);
        }
        EXPECT_EQ(queue.Next(), nullptr);
        EXPECT_EQ(queue.Next(), nullptr) << "the end stays the end";
      }
    }
  }
}

TEST(PrefetchQueueTest, UsesItsSlotsAgain) {
  PrefetchQueue<int> queue(3, 2, Counter(100));
  std::set<const int*> slots;
  while (const int* value = queue.Next()) slots.insert(value);
  EXPECT_EQ(slots.size(), 4u);
}

TEST(PrefetchQueueTest, ValueInUseIsNotOverwritten) {
  PrefetchQueue<int> queue(2, 2, Counter(1000));
  for (int i = 0; i < 20; ++i) {
    const int* value = queue.Next();
    std::this_thread::sleep_for(milliseconds(2));  // time for the thread to run ahead
    EXPECT_EQ(*value, i);
  }
}

TEST(PrefetchQueueTest, RunsAheadByDepthAndNoFurther) {
  std::atomic<int> made = 0;
  PrefetchQueue<int> queue(3, 2, [&made](int64_t, int* slot) {
    *slot = made++;
    return true;
  });
  ASSERT_NE(queue.Next(), nullptr);
  // One in the consumer's hands, three ready.
  for (int i = 0; i < 10000 && made < 4; ++i) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(made, 4);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(made, 4);
}

// Two calls that each wait for the other to begin end only where they run at the same time.
TEST(PrefetchQueueTest, WorkersFillAtTheSameTime) {
  std::atomic<int> begun = 0;
  PrefetchQueue<int> queue(2, 2, [&begun](int64_t index, int* slot) {
    ++begun;
    for (int i = 0; i < 10000 && begun < 2; ++i) std::this_thread::sleep_for(milliseconds(1));
    *slot = static_cast<int>(index);
    return index < 2;
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(*queue.Next(), 0);
  EXPECT_EQ(*queue.Next(), 1);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(9));
}

// A worker may learn that there is no value 4 after another has learned that there is no value 3.
TEST(PrefetchQueueTest, TheFirstIndexWithoutAValueIsTheEnd) {
  std::atomic<bool> fourth_begun = false;
  PrefetchQueue<int> queue(4, 2, [&](int64_t index, int*) {
    if (index == 3) {
      for (int i = 0; i < 10000 && !fourth_begun; ++i) std::this_thread::sleep_for(milliseconds(1));
    } else if (index == 4) {
      fourth_begun = true;
      std::this_thread::sleep_for(milliseconds(50));
    }
    return index < 3;
  });
  for (int i = 0; i < 3; ++i) EXPECT_NE(queue.Next(), nullptr);
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(queue.Next(), nullptr);
}

// With values not taken, all taken, and after the end. No thread stays behind.
TEST(PrefetchQueueTest, CanBeDestroyedAtAnyMoment) {
  const auto threads = [] {
    int64_t count = 0;
    for ([[maybe_unused]] const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) ++count;
    return count;
  };
  const int64_t threads_before = threads();
  for (int taken = 0; taken < 8; ++taken) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      PrefetchQueue<int> queue(2, 1 + repeat % 3, Counter(5));
      for (int i = 0; i < taken; ++i) {
        const int* value = queue.Next();
        ASSERT_EQ(value != nullptr, i < 5);
        if (value != nullptr) {
          ASSERT_EQ(*value, i);
        }
      }
    }
  }
  EXPECT_EQ(threads(), threads_before);
}

TEST(PrefetchQueueTest, SleepsWhileThereIsNothingToDo) {
  const auto cpu_seconds = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  PrefetchQueue<int> full(2, 2, Counter(100));
  PrefetchQueue<int> slow(2, 2, [](int64_t, int*) {
    std::this_thread::sleep_for(milliseconds(300));
    return true;
  });
  const double before = cpu_seconds();
  slow.Next();  // waits for a value, while `full` waits for a free slot
  EXPECT_LT(cpu_seconds() - before, 0.1);
}

// A failure on another thread reaches the consumer, behind the values that were made before it.
TEST(PrefetchQueueTest, WhatFillThrowsIsThrownByNext) {
  for (const int workers : {1, 3}) {
    PrefetchQueue<int64_t> queue(/*depth=*/2, workers, [](int64_t i, int64_t* slot) {
      if (i == 5) throw std::bad_alloc();
      *slot = i;
      return true;
    });
    for (int64_t i = 0; i < 5; ++i) ASSERT_EQ(*queue.Next(), i);
    EXPECT_THROW(queue.Next(), std::bad_alloc);
    EXPECT_THROW(queue.Next(), std::bad_alloc);
  }
}

}  // namespace
}  // namespace bitgrad
