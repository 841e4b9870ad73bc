#include "data/prefetch_queue.h"

#include <time.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using std::chrono::milliseconds;

// Makes 0, 1, ..., count - 1.
auto Counter(int count) {
  return [count, next = 0](int* slot) mutable {
    if (next >= count) return false;
    *slot = next++;
    return true;
  };
}

TEST(PrefetchQueueTest, GivesAllValuesInOrder) {
  for (const int depth : {1, 2, 5}) {
    for (const int count : {0, 1, 2, 3, 1000}) {
      PrefetchQueue<int> queue(depth, Counter(count));
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

TEST(PrefetchQueueTest, UsesItsSlotsAgain) {
  PrefetchQueue<int> queue(3, Counter(100));
  std::set<const int*> slots;
  while (const int* value = queue.Next()) slots.insert(value);
  EXPECT_EQ(slots.size(), 4u);
}

TEST(PrefetchQueueTest, ValueInUseIsNotOverwritten) {
  PrefetchQueue<int> queue(2, Counter(1000));
  for (int i = 0; i < 20; ++i) {
    const int* value = queue.Next();
    std::this_thread::sleep_for(milliseconds(2));  // time for the thread to run ahead
    EXPECT_EQ(*value, i);
  }
}

TEST(PrefetchQueueTest, RunsAheadByDepthAndNoFurther) {
  std::atomic<int> made = 0;
  PrefetchQueue<int> queue(3, [&made](int* slot) {
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

TEST(PrefetchQueueTest, CanBeDestroyedAtAnyMoment) {
  for (int taken = 0; taken < 8; ++taken) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      PrefetchQueue<int> queue(2, Counter(5));
      for (int i = 0; i < taken; ++i) queue.Next();
    }
  }
}

TEST(PrefetchQueueTest, SleepsWhileThereIsNothingToDo) {
  const auto cpu_seconds = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  PrefetchQueue<int> full(2, Counter(100));
  PrefetchQueue<int> slow(2, [](int*) {
    std::this_thread::sleep_for(milliseconds(300));
    return true;
  });
  const double before = cpu_seconds();
  slow.Next();  // waits for a value, while `full` waits for a free slot
  EXPECT_LT(cpu_seconds() - before, 0.1);
}

}  // namespace
}  // namespace bitgrad
