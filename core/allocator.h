// Memory for tensors, scratch and packed bits.
//
// HeapAllocator() serves memory that lives long (parameters, data sets). PoolAllocator keeps freed blocks for the next
// request of the same size class. The sizes of a training step repeat, so after the first step it asks the system for
// nothing more; a fresh page costs a page fault and a clear per 4 KiB, more than many of the kernels that fill it.

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

  // Returns a block of at least `bytes` bytes, aligned to kAlignment, with undefined contents. Never returns null:
  // where no memory is left it does what operator new does (core/out_of_memory.h), so bitgrad's programs end with a
  // line that names the number of bytes requested, and elsewhere std::bad_alloc is thrown.
  virtual void* Allocate(size_t bytes) = 0;

  // Gives a block of this allocator back. REQUIRES: `bytes` is the number passed to Allocate().
  virtual void Deallocate(void* block, size_t bytes) = 0;

  // Fills a block with zero bytes, and copies between two blocks of this allocator. On a device with a stream both are
  // enqueued there, in order with its kernels.
  virtual void Zero(void* block, size_t bytes);
  virtual void Copy(void* to, const void* from, size_t bytes);

  virtual Device device() const { return Device::kCpu; }
};

// The process's heap: stateless and thread-safe.
Allocator& HeapAllocator();

// Keeps freed blocks of another allocator (the source) in free lists, one list per size class. Not thread-safe: a pool
// serves one thread.
//
// The pool's owner lets go of it with Abandon(). The pool then lives on until its last block comes back: a parameter
// may hold a gradient whose context is already gone.
class PoolAllocator final : public Allocator {
 public:
  // A pool over the heap, or over `source`, which the pool then owns.
  static PoolAllocator* New(std::unique_ptr<Allocator> source = nullptr) {
    return new PoolAllocator(std::move(source));
  }
  PoolAllocator(const PoolAllocator&) = delete;
  PoolAllocator& operator=(const PoolAllocator&) = delete;
  void Abandon();

  // For work that is recorded now and enqueued again later (core/recorded_work.h). From BeginReserving() on, the pool
  // remembers which blocks it hands out. EndReserving() takes those of them that are free again out of the free lists,
  // so that nobody else gets them until Release() puts them back. A block that was in a free list before
  // BeginReserving() may be among them.
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
  size_t peak_bytes() const { return peak_bytes_; }          // the largest live_bytes() so far
  size_t reserved_bytes() const { return reserved_bytes_; }  // handed out or in free lists
  // How many requests the free lists could not serve, so that they went to the source.
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
  std::set<void*> handed_out_;  // since BeginReserving()
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_ALLOCATOR_H_
