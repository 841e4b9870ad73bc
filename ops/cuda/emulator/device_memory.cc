#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/emulator/emulator.h"

namespace bitgrad::cuda_emulator {
namespace {

// This reserves addresses only; pages get memory when they are touched.
constexpr size_t kArenaBytes = size_t{16} << 30;
constexpr size_t kPage = 4096;

struct Arena {
  unsigned char* begin = nullptr;
  size_t used = 0;
  int open = 0;
};

Arena& TheArena() {
  static Arena arena = [] {
    void* const begin = mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    BITGRAD_CHECK(begin != MAP_FAILED);
    return Arena{.begin = static_cast<unsigned char*>(begin)};
  }();
  return arena;
}

void Protect(int protection) {
  const Arena& arena = TheArena();
  if (arena.used > 0) BITGRAD_CHECK(mprotect(arena.begin, arena.used, protection) == 0);
}

}  // namespace

DeviceMemoryAccess::DeviceMemoryAccess() {
  if (TheArena().open++ == 0) Protect(PROT_READ | PROT_WRITE);
}

DeviceMemoryAccess::~DeviceMemoryAccess() {
  if (--TheArena().open == 0) Protect(PROT_NONE);
}

void* AllocateDeviceMemory(size_t bytes) {
  Arena& arena = TheArena();
  const size_t whole = (bytes + kPage - 1) / kPage * kPage;
  if (whole > kArenaBytes - arena.used) {
    std::fprintf(stderr, "CUDA emulator: out of memory: %zu bytes asked for\n", bytes);
    std::abort();
  }
  void* const block = arena.begin + arena.used;
  arena.used += whole;
  const DeviceMemoryAccess access;
  std::memset(block, 0xff, whole);  // NaNs, so that reads of unwritten memory are noticed
  return block;
}

// The addresses are never reused, so that a pointer that is kept too long is noticed.
void FreeDeviceMemory(void* block, size_t bytes) { madvise(block, (bytes + kPage - 1) / kPage * kPage, MADV_DONTNEED); }

}  // namespace bitgrad::cuda_emulator
