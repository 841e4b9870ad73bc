// The emulator runs CUDA kernels on the CPU, one block at a time, for tests on machines without a GPU.
//
// Every thread of a block is a fiber that runs until it waits (at a barrier, or in a warp's exchange) or ends. So
// indices, barriers, warp exchanges and shared memory behave as CUDA defines them. A thread that reads what another has
// not written yet gets garbage, because shared memory starts as garbage, and blocks run their threads in ascending and
// descending order by turns. Speed, the memory model between blocks and hardware limits (registers, alignment of vector
// accesses) are not emulated.
//
// Not thread-safe: only one thread of the process may run kernels at a time.

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

// The built-in variables of the emulated thread that is running.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;
inline constexpr int warpSize = 32;

// The device's queue. Runs `work` at once; between BeginRecording() and EndRecording() it adds it to the recording
// instead.
void Enqueue(std::function<void()> work);
using Recording = std::vector<std::function<void()>>;
void BeginRecording();
Recording EndRecording();
bool IsRecording();

// Calls `thread` once for each thread of the grid. Ends the process with an error where threads wait for each other for
// ever.
void Run(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread);

// The block's dynamic shared memory.
unsigned char* DynamicShared();

// The number of this thread in its block, and the exchange buffer of its warp, which has one slot per lane.
int ThreadInBlock();
uint64_t* WarpSlots();

// __syncthreads(): waits for all threads of the block that have not ended.
void SyncBlock();
// __syncwarp(): waits for the threads of the warp that are in `mask` and have not ended.
void SyncWarp(unsigned mask);
// Lets the other threads run. Loops that wait for something to change call it.
void Yield();

// The compute capability of the emulated GPU, times 10: the environment's BITGRAD_EMULATED_CAPABILITY (100 for 10.0),
// else 90.
int ComputeCapability();

// The memory of the emulated device. Its pages can be read and written only while a kernel or a copy runs, so host code
// that dereferences a pointer into it crashes, as it would with a real GPU.
void* AllocateDeviceMemory(size_t bytes);
void FreeDeviceMemory(void* block, size_t bytes);

// Makes the device's memory accessible within its scope.
class DeviceMemoryAccess {
 public:
  DeviceMemoryAccess();
  ~DeviceMemoryAccess();
  DeviceMemoryAccess(const DeviceMemoryAccess&) = delete;
  DeviceMemoryAccess& operator=(const DeviceMemoryAccess&) = delete;
};

}  // namespace bitgrad::cuda_emulator

#endif  // BITGRAD_OPS_CUDA_EMULATOR_EMULATOR_H_
