// PrefetchQueue: values made ahead on another thread, in order, in a fixed ring of slots.
//
//   PrefetchQueue<Batch> queue(/*depth=*/3, [&](Batch* slot) { return FillNext(slot); });
//   while (const Batch* batch = queue.Next()) Use(*batch);
//
// Slots are filled again after use, so a `fill` that keeps a slot's buffers allocates nothing in
// the steady state. Both sides sleep while there is nothing to do for them.

#ifndef BITGRAD_DATA_PREFETCH_QUEUE_H_
#define BITGRAD_DATA_PREFETCH_QUEUE_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace bitgrad {

template <typename T>
class PrefetchQueue {
 public:
  // Starts to call `fill` on an own thread: it makes a slot the next value and returns true, or
  // returns false after the last one. Up to `depth` values are ready at a time. REQUIRES: depth >
  // 0.
  PrefetchQueue(int depth, std::function<bool(T*)> fill)
      : slots_(depth + 1),  // one more: the value in the consumer's hands
        fill_(std::move(fill)),
        thread_([this] { FillSlots(); }) {}

  // Ends the thread, at the latest after the call of `fill` that it is in.
  ~PrefetchQueue() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    slot_free_.notify_one();
    thread_.join();
  }

  PrefetchQueue(const PrefetchQueue&) = delete;
  PrefetchQueue& operator=(const PrefetchQueue&) = delete;

  // The next value, valid until the next call; null after the last one. For one consumer thread.
  const T* Next() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (in_use_) {  // The value of the call before is given back.
      in_use_ = false;
      ++released_;
      slot_free_.notify_one();
    }
    slot_ready_.wait(lock, [this] { return filled_ > released_ || finished_; });
    if (filled_ == released_) return nullptr;
    in_use_ = true;
    return &slots_[released_ % slots_.size()];
  }

 private:
  void FillSlots() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      slot_free_.wait(lock, [this] { return stopped_ || filled_ - released_ < slots_.size(); });
      if (stopped_) return;
      T* slot = &slots_[filled_ % slots_.size()];
      lock.unlock();  // This slot is the thread's own until it is counted as filled.
      const bool has_value = fill_(slot);
      lock.lock();
      if (has_value) {
        ++filled_;
      } else {
        finished_ = true;
      }
      slot_ready_.notify_one();
      if (finished_) return;
    }
  }

  std::vector<T> slots_;
  std::function<bool(T*)> fill_;
  std::mutex mutex_;
  std::condition_variable slot_ready_;
  std::condition_variable slot_free_;
  uint64_t filled_ = 0;    // values made
  uint64_t released_ = 0;  // values given back; the next one to hand out
  bool in_use_ = false;
  bool finished_ = false;  // `fill` has returned false
  bool stopped_ = false;   // the queue is being destroyed
  std::thread thread_;     // last: it uses all of the above
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_PREFETCH_QUEUE_H_
