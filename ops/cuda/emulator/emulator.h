// Runs CUDA kernels on the CPU, one block at a time, for tests on machines without a GPU.
//
// Every thread of a block is a fiber that runs until it waits (a barrier, a warp's exchange) or ends. So indexing,
// barriers, warp exchanges and shared memory are what CUDA says they are, and a thread that reads what another has not
// yet written finds garbage: shared memory starts as garbage, and blocks run their threads in ascending and descending
// order by turns. What is not emulated: speed, the memory model between blocks, and hardware limits (registers,
// alignment of vector accesses).
//
// Not thread-safe: kernels run on one thread of the process at a time.

#ifndef BITGRAD_OPS_CUDA_EMULATOR_EMULATOR_H_
#define BITGRAD_OPS_CUDA_EMULATOR_EMULATOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace bitgrad::cuda_emulator {

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}  // NOLINT: as CUDA's
};

// Of the thread that runs now.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;
inline constexpr int warpSize = 32;

// The device's queue: runs `work` now; while a recording is made, keeps it instead.
void Enqueue(std::function<void()> work);
using Recording = std::vector<std::function<void()>>;
void BeginRecording();
Recording EndRecording();
bool IsRecording();

// Calls `thread` once per thread of the grid. Ends the process where threads wait for each other for ever.
void Run(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread);

// The block's dynamic shared memory.
unsigned char* DynamicShared();

// The number of this thread in its block, and its warp's exchange buffer, one slot a lane.
int ThreadInBlock();
uint64_t* WarpSlots();

// __syncthreads(): waits for all threads of the block that have not ended.
void SyncBlock();
// __syncwarp(): waits for the threads of the warp that are in `mask` and have not ended.
void SyncWarp(unsigned mask);
// Lets the other threads run: for loops that wait for something to change.
void Yield();

// What the emulated GPU says it is: BITGRAD_EMULATED_CAPABILITY of the environment (100 for 10.0), else 90.
int ComputeCapability();

// The memory of the emulated device. Host code that follows a pointer into it crashes, as on a real one: its pages can
// be read and written only while a kernel or a copy runs.
void* AllocateDeviceMemory(size_t bytes);
void FreeDeviceMemory(void* block, size_t bytes);

// Opens the device's memory for its scope.
class DeviceMemoryAccess {
 public:
  DeviceMemoryAccess();
  ~DeviceMemoryAccess();
  DeviceMemoryAccess(const DeviceMemoryAccess&) = delete;
  DeviceMemoryAccess& operator=(const DeviceMemoryAccess&) = delete;
};

}  // namespace bitgrad::cuda_emulator

#endif  // BITGRAD_OPS_CUDA_EMULATOR_EMULATOR_H_
