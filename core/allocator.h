// Memory for tensors, scratch and packed bits.
//
// HeapAllocator() serves what lives long (parameters, data sets). PoolAllocator keeps freed blocks
// for the next request of the same size class, so that a training step, whose sizes repeat, asks the
// system for nothing after the first: fresh pages cost a fault and a clear per 4 KiB, more than
// many of the kernels that fill them.

#ifndef BITGRAD_CORE_ALLOCATOR_H_
#define BITGRAD_CORE_ALLOCATOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "bitgrad/core/device.h"

namespace bitgrad {

// Every block starts on a cache line, which is also a full AVX-512 vector.
inline constexpr size_t kAlignment = 64;

class Allocator {
 public:
  virtual ~Allocator() = default;

  // A block of at least `bytes` bytes, aligned to kAlignment; never null: where the device has no
  // memory left, the process ends with a line that names the bytes asked for. Contents undefined.
  virtual void* Allocate(size_t bytes) = 0;

  // Gives back a block of this allocator. `bytes` is what was asked for.
  virtual void Deallocate(void* block, size_t bytes) = 0;

  // Fill and copy blocks of this allocator, in the order of the device's work.
  virtual void Zero(void* block, size_t bytes);
  virtual void Copy(void* to, const void* from, size_t bytes);

  virtual Device device() const { return Device::kCpu; }
};

// The process's heap. Stateless and thread-safe.
Allocator& HeapAllocator();

// Keeps freed blocks of another allocator in free lists by size class. Not thread-safe: one pool, one thread.
//
// The pool's owner lets go of it with Abandon(): blocks still out (a gradient that a parameter holds when the
// context is already gone) keep it alive until the last one comes back.
class PoolAllocator final : public Allocator {
 public:
  // Of the heap; or of `source`, which lives as long as the pool.
  static PoolAllocator* New(std::unique_ptr<Allocator> source = nullptr) {
    return new PoolAllocator(std::move(source));
  }
  PoolAllocator(const PoolAllocator&) = delete;
  PoolAllocator& operator=(const PoolAllocator&) = delete;
  void Abandon();

  // For work that is recorded now and runs again later (core/recorded_work.h): from BeginReserving() on, the pool
  // remembers which blocks it hands out; EndReserving() keeps those of them that are free again from everybody else,
  // until they are given back with Release(). Free blocks from before may be among them.
  using Reserved = std::vector<std::pair<int, void*>>;  // size class, block
  void BeginReserving() { reserving_ = true; }
  Reserved EndReserving();
  void Release(const Reserved& blocks);

  void* Allocate(size_t bytes) override;
  void Deallocate(void* block, size_t bytes) override;
  void Zero(void* block, size_t bytes) override { source_.Zero(block, bytes); }
  void Copy(void* to, const void* from, size_t bytes) override { source_.Copy(to, from, bytes); }
  Device device() const override { return source_.device(); }

  size_t live_bytes() const { return live_bytes_; }          // handed out now
  size_t peak_bytes() const { return peak_bytes_; }          // the most ever handed out
  size_t reserved_bytes() const { return reserved_bytes_; }  // handed out or kept in free lists
  // Requests that the free lists could not serve.
  int64_t system_allocations() const { return system_allocations_; }

 private:
  static constexpr int kClasses = 48 * 4;
  explicit PoolAllocator(std::unique_ptr<Allocator> source)
      : owned_source_(std::move(source)), source_(owned_source_ != nullptr ? *owned_source_ : HeapAllocator()) {}
  ~PoolAllocator() override;

  std::unique_ptr<Allocator> owned_source_;
  Allocator& source_;
  std::vector<void*> free_[kClasses];
  size_t live_bytes_ = 0;
  size_t peak_bytes_ = 0;
  size_t reserved_bytes_ = 0;
  int64_t system_allocations_ = 0;
  int64_t live_blocks_ = 0;
  bool abandoned_ = false;
  bool reserving_ = false;
  std::set<void*> handed_out_;  // while reserving
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_ALLOCATOR_H_
