#include "bitgrad/core/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/core/out_of_memory.h"

namespace bitgrad {
namespace {

size_t RoundUp(size_t bytes) { return std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment); }

// The size of a huge page on Linux (x86-64 and most of arm64). Large blocks ask for such pages: one TLB entry instead
// of 512, one page fault instead of 512, and hardware prefetchers that do not stop at every 4 KiB.
constexpr size_t kHugePage = size_t{2} << 20;

void* SystemAllocate(size_t bytes) {
  const bool huge = bytes >= 2 * kHugePage;
  // aligned_alloc requires a multiple of the alignment. Rounding up is cheap: pages that are never touched take address
  // space, not memory.
  const size_t alignment = huge ? kHugePage : kAlignment;
  const size_t whole = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  void* block;
  while ((block = std::aligned_alloc(alignment, whole)) == nullptr) HandleOutOfMemory(bytes);
#ifdef MADV_HUGEPAGE
  // This is advice only: where the system has no huge pages left, the block consists of small ones.
  if (huge) madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return block;
}

class Heap final : public Allocator {
 public:
  void* Allocate(size_t bytes) override { return SystemAllocate(bytes); }
  void Deallocate(void* block, size_t) override { std::free(block); }
};

// Size classes are quarter powers of two, so at most a fifth of a block is unused.
struct SizeClass {
  int index;
  size_t bytes;
};

SizeClass ClassOf(size_t bytes) {
  bytes = RoundUp(bytes);
  if (bytes <= 4 * kAlignment) return {static_cast<int>(bytes / kAlignment), bytes};
  const int log2 = std::bit_width(bytes - 1) - 1;  // 2^log2 < bytes <= 2^(log2+1)
  const size_t quarter = size_t{1} << (log2 - 2);
  const size_t steps = (bytes - 1) / quarter + 1;  // 5..8 quarters
  return {log2 * 4 + static_cast<int>(steps - 5), steps * quarter};
}

// The inverse of ClassOf(): the block size of a size class.
size_t BytesOfClass(int index) {
  if (index <= 4) return index * kAlignment;
  return (size_t{1} << (index / 4 - 2)) * (index % 4 + 5);
}

}  // namespace

void Allocator::Zero(void* block, size_t bytes) { std::memset(block, 0, bytes); }
void Allocator::Copy(void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }

Allocator& HeapAllocator() {
  static Heap heap;
  return heap;
}

PoolAllocator::~PoolAllocator() {
  for (int index = 0; index < kClasses; ++index) {
    for (void* block : free_[index]) source_.Deallocate(block, BytesOfClass(index));
  }
}

void PoolAllocator::Abandon() {
  abandoned_ = true;
  if (live_blocks_ == 0) delete this;
}

void* PoolAllocator::Allocate(size_t bytes) {
  const SizeClass size = ClassOf(bytes);
  while (size.index >= kClasses) HandleOutOfMemory(bytes);  // No machine has as much.
  auto& list = free_[size.index];
  void* block;
  if (list.empty()) {
    block = source_.Allocate(size.bytes);  // It may throw, so nothing is counted before.
    reserved_bytes_ += size.bytes;
    ++system_allocations_;
  } else {
    block = list.back();
    list.pop_back();
  }
  live_bytes_ += size.bytes;
  ++live_blocks_;
  peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  if (reserving_) handed_out_.insert(block);
  return block;
}

void PoolAllocator::Deallocate(void* block, size_t bytes) {
  const SizeClass size = ClassOf(bytes);
  BITGRAD_DCHECK(live_bytes_ >= size.bytes);
  live_bytes_ -= size.bytes;
  free_[size.index].push_back(block);
  if (--live_blocks_ == 0 && abandoned_) delete this;
}

PoolAllocator::Reserved PoolAllocator::EndReserving() {
  Reserved reserved;
  for (int index = 0; index < kClasses; ++index) {
    std::erase_if(free_[index], [&](void* block) {
      const bool mine = handed_out_.contains(block);
      if (mine) reserved.emplace_back(index, block);
      return mine;
    });
  }
  reserving_ = false;
  handed_out_.clear();
  live_blocks_ += static_cast<int64_t>(reserved.size());
  for (const auto& [index, block] : reserved) live_bytes_ += BytesOfClass(index);
  return reserved;
}

void PoolAllocator::Release(const Reserved& blocks) {
  for (const auto& [index, block] : blocks) Deallocate(block, BytesOfClass(index));
}

}  // namespace bitgrad
