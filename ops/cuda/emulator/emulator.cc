// glibc's checked longjmp() takes a jump to another stack for an error.
#undef _FORTIFY_SOURCE

#include "ops/cuda/emulator/emulator.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "core/check.h"

namespace bitgrad::cuda_emulator {

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr size_t kStackBytes = size_t{256} << 10;
constexpr size_t kMostSharedBytes = size_t{227} << 10;  // of sm_90
constexpr int kMostThreads = 1024;

enum class State { kNotStarted, kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };

// A stack on which threads run, one after another as long as they do not wait. makecontext() makes it; from then on jumps go
// to and fro, which, unlike swapcontext(), do not call the system each time.
struct Fiber {
  ucontext_t start;
  bool started;
  jmp_buf place;
  void* stack;
};

struct Thread {
  State state;
  unsigned mask;  // of the warp barrier that it waits at
  Fiber* fiber;
};

struct Block {
  const char* kernel;
  const std::function<void()>* thread;
  std::vector<Thread> threads;
  std::vector<uint64_t> warp_slots;
  bool descending;
  int current;
  int next_to_start;  // in the order of starting
  int count() const { return static_cast<int>(threads.size()); }
};

Block block;
jmp_buf scheduler;
std::vector<Fiber*> idle_fibers;
alignas(1024) unsigned char shared_memory[kMostSharedBytes];

void SetCurrent(int index) {
  block.current = index;
  const unsigned t = static_cast<unsigned>(index);
  threadIdx = dim3(t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y);
}

// From the scheduler to a fiber, until it comes back.
void Enter(Fiber* fiber) {
  if (_setjmp(scheduler) != 0) return;
  if (fiber->started) _longjmp(fiber->place, 1);
  fiber->started = true;
  setcontext(&fiber->start);
}

// From a fiber to the scheduler, until that enters it again.
void Leave(Fiber* fiber) {
  if (_setjmp(fiber->place) == 0) _longjmp(scheduler, 1);
}

int NextToStart() {
  if (block.next_to_start == block.count()) return -1;
  const int order = block.next_to_start++;
  return block.descending ? block.count() - 1 - order : order;
}

// What a fiber does for ever: start threads that have not started yet; when there are none, rest.
void FiberMain() {
  for (;;) {
    for (int index = NextToStart(); index >= 0; index = NextToStart()) {
      SetCurrent(index);
      Fiber* const self = idle_fibers.back();
      idle_fibers.pop_back();
      block.threads[index].fiber = self;
      block.threads[index].state = State::kReady;
      (*block.thread)();
      block.threads[index].state = State::kDone;
      idle_fibers.push_back(self);
    }
    Leave(idle_fibers.back());
  }
}

Fiber* NewFiber() {
  auto* fiber = new Fiber();
  fiber->stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  BITGRAD_CHECK(fiber->stack != MAP_FAILED);
  getcontext(&fiber->start);
  fiber->start.uc_stack.ss_sp = fiber->stack;
  fiber->start.uc_stack.ss_size = kStackBytes;
  fiber->start.uc_link = nullptr;
  makecontext(&fiber->start, FiberMain, 0);
  return fiber;
}

// The running thread gives way until the scheduler comes back to it.
void Wait(State state, unsigned mask) {
  Thread& self = block.threads[block.current];
  self.state = state;
  self.mask = mask;
  Leave(self.fiber);
}

[[noreturn]] void Deadlock() {
  int at_block = 0, at_warp = 0, done = 0;
  for (const Thread& thread : block.threads) {
    at_block += thread.state == State::kAtBlockBarrier;
    at_warp += thread.state == State::kAtWarpBarrier;
    done += thread.state == State::kDone;
  }
  std::fprintf(stderr,
               "CUDA emulator: kernel '%s', block (%u, %u, %u): of %d threads %d wait for the block, %d for their warp, %d have "
               "ended; none can go on\n",
               block.kernel, blockIdx.x, blockIdx.y, blockIdx.z, block.count(), at_block, at_warp, done);
  std::abort();
}

// Opens barriers that all have reached. Returns whether one was opened.
bool OpenBarriers() {
  bool opened = false;
  bool all_at_block = true, any_at_block = false;
  for (const Thread& thread : block.threads) {
    all_at_block &= thread.state == State::kAtBlockBarrier || thread.state == State::kDone;
    any_at_block |= thread.state == State::kAtBlockBarrier;
  }
  if (all_at_block && any_at_block) {
    for (Thread& thread : block.threads) {
      if (thread.state == State::kAtBlockBarrier) thread.state = State::kReady;
    }
    return true;
  }
  for (int first = 0; first < block.count(); first += warpSize) {
    const int lanes = std::min(warpSize, block.count() - first);
    for (int lane = 0; lane < lanes; ++lane) {
      if (block.threads[first + lane].state != State::kAtWarpBarrier) continue;
      const unsigned mask = block.threads[first + lane].mask;
      bool all = true;
      for (int other = 0; other < lanes; ++other) {
        if ((mask >> other & 1) == 0) continue;
        const Thread& thread = block.threads[first + other];
        all &= thread.state == State::kDone || (thread.state == State::kAtWarpBarrier && thread.mask == mask);
      }
      if (!all) continue;
      for (int other = 0; other < lanes; ++other) {
        Thread& thread = block.threads[first + other];
        if ((mask >> other & 1) != 0 && thread.state == State::kAtWarpBarrier) thread.state = State::kReady;
      }
      opened = true;
    }
  }
  return opened;
}

void RunBlock() {
  block.next_to_start = 0;
  for (Thread& thread : block.threads) thread = {State::kNotStarted, 0, nullptr};
  std::memset(shared_memory, 0xcd, kMostSharedBytes);
  for (int64_t rounds = 0;; ++rounds) {
    while (block.next_to_start < block.count()) {
      if (idle_fibers.empty()) idle_fibers.push_back(NewFiber());
      Enter(idle_fibers.back());
    }
    bool ran = false;
    for (int order = 0; order < block.count(); ++order) {
      const int index = block.descending ? block.count() - 1 - order : order;
      if (block.threads[index].state != State::kReady) continue;
      ran = true;
      SetCurrent(index);
      Enter(block.threads[index].fiber);
    }
    if (ran && rounds < int64_t{10} * 1000 * 1000) continue;
    if (OpenBarriers()) continue;
    for (const Thread& thread : block.threads) {
      if (thread.state != State::kDone) Deadlock();
    }
    return;
  }
}

}  // namespace

void Run(const char* kernel, dim3 grid, dim3 threads, size_t shared_bytes, const std::function<void()>& thread) {
  const size_t count = size_t{threads.x} * threads.y * threads.z;
  BITGRAD_CHECK(count > 0 && count <= kMostThreads);
  BITGRAD_CHECK(shared_bytes <= kMostSharedBytes);
  BITGRAD_CHECK(grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.y < 65536 && grid.z < 65536);
  const DeviceMemoryAccess access;
  gridDim = grid;
  blockDim = threads;
  block.kernel = kernel;
  block.thread = &thread;
  block.threads.resize(count);
  block.warp_slots.assign((count + warpSize - 1) / warpSize * warpSize, 0);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        block.descending = !block.descending;
        RunBlock();
      }
    }
  }
}

unsigned char* DynamicShared() { return shared_memory; }
int ThreadInBlock() { return block.current; }
uint64_t* WarpSlots() { return block.warp_slots.data() + block.current / warpSize * warpSize; }
void SyncBlock() { Wait(State::kAtBlockBarrier, 0); }
void SyncWarp(unsigned mask) { Wait(State::kAtWarpBarrier, mask); }
void Yield() { Wait(State::kReady, 0); }

}  // namespace bitgrad::cuda_emulator
