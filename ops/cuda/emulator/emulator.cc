#include "bitgrad/ops/cuda/emulator/emulator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "bitgrad/core/check.h"
#include "boost/context/fiber.hpp"
#include "boost/context/fixedsize_stack.hpp"

namespace bitgrad::cuda_emulator {

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

constexpr size_t kStackBytes = size_t{256} << 10;
constexpr size_t kMostSharedBytes = size_t{227} << 10;  // as sm_90 has
constexpr int kMostThreads = 1024;
// The limit of scheduling rounds for one block. A thread that still polls then would poll for ever.
constexpr int64_t kMostRounds = 10 * 1000 * 1000;

enum class State { kNotStarted, kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };

// A stack. It runs one thread after another, for as long as these do not wait.
struct Fiber {
  boost::context::fiber context;
};

struct Thread {
  State state;
  unsigned mask;  // the lanes of the warp barrier at which the thread waits
  Fiber* fiber;
};

struct Block {
  const char* kernel;
  const std::function<void()>* thread;
  size_t shared_bytes;
  std::vector<Thread> threads;
  std::vector<uint64_t> warp_slots;
  bool descending;
  int current;
  int next_to_start;  // counts threads in the order in which they are started
  int count() const { return static_cast<int>(threads.size()); }
};

Block block;
boost::context::fiber scheduler;  // the context that a fiber returns to
std::vector<Fiber*> idle_fibers;
alignas(1024) unsigned char shared_memory[kMostSharedBytes];

void SetCurrent(int index) {
  block.current = index;
  const unsigned t = static_cast<unsigned>(index);
  threadIdx = dim3(t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y);
}

int NextToStart() {
  if (block.next_to_start == block.count()) return -1;
  const int order = block.next_to_start++;
  return block.descending ? block.count() - 1 - order : order;
}

void BackToScheduler() { scheduler = std::move(scheduler).resume(); }

void Continue(Fiber* fiber) { fiber->context = std::move(fiber->context).resume(); }

// The endless loop of a fiber: it starts and runs threads that have not started yet; while there are none, it returns
// to the scheduler.
boost::context::fiber FiberMain(boost::context::fiber&& caller) {
  scheduler = std::move(caller);
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
    BackToScheduler();
  }
}

// Fibers are never destroyed, because that would unwind their stacks.
Fiber* NewFiber() {
  auto* fiber = new Fiber;
  fiber->context = boost::context::fiber(std::allocator_arg, boost::context::fixedsize_stack(kStackBytes), FiberMain);
  return fiber;
}

// Suspends the running thread until the scheduler resumes it.
void Wait(State state, unsigned mask) {
  Thread& self = block.threads[block.current];
  self.state = state;
  self.mask = mask;
  BackToScheduler();
}

[[noreturn]] void Deadlock() {
  int at_block = 0, at_warp = 0, done = 0;
  for (const Thread& thread : block.threads) {
    at_block += thread.state == State::kAtBlockBarrier;
    at_warp += thread.state == State::kAtWarpBarrier;
    done += thread.state == State::kDone;
  }
  std::fprintf(
      stderr,
      "CUDA emulator: kernel '%s', block (%u, %u, %u): of %d threads %d wait for the block, %d for their warp, %d have "
      "ended; none can go on\n",
      block.kernel, blockIdx.x, blockIdx.y, blockIdx.z, block.count(), at_block, at_warp, done);
  std::abort();
}

// Opens each barrier that all its threads have reached. Returns whether one was opened.
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
  std::memset(shared_memory, 0xcd, block.shared_bytes);
  for (int64_t rounds = 0;; ++rounds) {
    while (block.next_to_start < block.count()) {
      if (idle_fibers.empty()) idle_fibers.push_back(NewFiber());
      Continue(idle_fibers.back());
    }
    bool ran = false;
    for (int order = 0; order < block.count(); ++order) {
      const int index = block.descending ? block.count() - 1 - order : order;
      if (block.threads[index].state != State::kReady) continue;
      ran = true;
      SetCurrent(index);
      Continue(block.threads[index].fiber);
    }
    // Threads that poll (Yield) run in every round, because what they do next may be what others wait for at a barrier.
    if (OpenBarriers() || (ran && rounds < kMostRounds)) continue;
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
  block.shared_bytes = shared_bytes;
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

namespace {
Recording recording;
bool is_recording = false;
}  // namespace

void Enqueue(std::function<void()> work) {
  if (is_recording) {
    recording.push_back(std::move(work));
  } else {
    work();
  }
}
void BeginRecording() {
  BITGRAD_CHECK(!is_recording);
  is_recording = true;
}
Recording EndRecording() {
  is_recording = false;
  return std::exchange(recording, {});
}
bool IsRecording() { return is_recording; }

unsigned char* DynamicShared() { return shared_memory; }
int ThreadInBlock() { return block.current; }
uint64_t* WarpSlots() { return block.warp_slots.data() + block.current / warpSize * warpSize; }
void SyncBlock() { Wait(State::kAtBlockBarrier, 0); }
void SyncWarp(unsigned mask) { Wait(State::kAtWarpBarrier, mask); }
void Yield() { Wait(State::kReady, 0); }

int ComputeCapability() {
  static const char* const given = std::getenv("BITGRAD_EMULATED_CAPABILITY");
  return given != nullptr ? std::atoi(given) : 90;
}

}  // namespace bitgrad::cuda_emulator
