// PrefetchQueue: values made ahead on other threads, handed out in order, in a fixed ring of slots.
//
//   PrefetchQueue<Batch> queue(/*depth=*/3, /*workers=*/2, [&](int64_t i, Batch* slot) { return Fill(i, slot); });
//   while (const Batch* batch = queue.Next()) Use(*batch);
//
// Slots are filled again after use, so a `fill` that keeps a slot's buffers allocates nothing in the steady state. The
// consumer and the threads sleep while there is nothing for them to do.

#ifndef BITGRAD_DATA_PREFETCH_QUEUE_H_
#define BITGRAD_DATA_PREFETCH_QUEUE_H_

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace bitgrad {

template <typename T>
class PrefetchQueue {
 public:
  // Starts to call `fill` on own threads, each index 0, 1, 2, ... once: it makes the slot that value and returns true,
  // or returns false where there is no such value; then there are none behind it either. Up to `depth` values are ready
  // at a time. With several workers `fill` runs for different indices at the same time. Throws std::system_error where
  // a thread cannot be started (core/threads.h tells before). REQUIRES: depth > 0, workers > 0.
  PrefetchQueue(int depth, int workers, std::function<bool(int64_t, T*)> fill)
      : slots_(depth + 1),  // one more: the value in the consumer's hands
        fill_(std::move(fill)) {
    try {
      for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { FillSlots(); });
    } catch (...) {
      EndThreads();
      throw;
    }
  }

  // Ends the threads; waits for the calls of `fill` that are under way.
  ~PrefetchQueue() { EndThreads(); }

  PrefetchQueue(const PrefetchQueue&) = delete;
  PrefetchQueue& operator=(const PrefetchQueue&) = delete;

  // The next value, valid until the next call; null after the last one. Throws what a call of `fill` has thrown, when
  // the values before it are used up. For one consumer thread.
  const T* Next() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (in_use_) {  // The value of the call before is given back.
      in_use_ = false;
      SlotOf(released_).ready = false;
      ++released_;
      slot_free_.notify_one();
    }
    slot_ready_.wait(lock, [this] { return SlotOf(released_).ready || released_ >= end_; });
    if (released_ >= end_) {
      if (failure_ != nullptr) std::rethrow_exception(failure_);
      return nullptr;
    }
    in_use_ = true;
    return &SlotOf(released_).value;
  }

 private:
  struct Slot {
    T value;
    bool ready = false;
  };

  void EndThreads() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    slot_free_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Slot& SlotOf(int64_t index) { return slots_[index % static_cast<int64_t>(slots_.size())]; }

  void FillSlots() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      slot_free_.wait(lock, [this] {
        return stopped_ || claimed_ >= end_ || claimed_ - released_ < static_cast<int64_t>(slots_.size());
      });
      if (stopped_ || claimed_ >= end_) return;
      const int64_t index = claimed_++;
      Slot& slot = SlotOf(index);
      lock.unlock();  // This slot is the thread's own until it is ready.
      bool has_value = false;
      std::exception_ptr failure;
      try {
        has_value = fill_(index, &slot.value);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure_ == nullptr) failure_ = failure;
      if (has_value) {
        slot.ready = true;
      } else {
        end_ = std::min(end_, index);
        slot_free_.notify_all();
      }
      slot_ready_.notify_one();
    }
  }

  std::vector<Slot> slots_;
  std::function<bool(int64_t, T*)> fill_;
  std::mutex mutex_;
  std::condition_variable slot_ready_;
  std::condition_variable slot_free_;
  int64_t claimed_ = 0;                                // values made or in the making
  int64_t released_ = 0;                               // values given back; the next one to hand out
  int64_t end_ = std::numeric_limits<int64_t>::max();  // the first index without a value, once known
  std::exception_ptr failure_;                         // what a call of `fill` has thrown first
  bool in_use_ = false;
  bool stopped_ = false;              // the queue is being destroyed
  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_PREFETCH_QUEUE_H_
