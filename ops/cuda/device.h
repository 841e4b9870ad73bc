// What a .cu file includes first: CUDA's runtime, or, where the file is compiled for the tests' emulator, the
// emulator's replacement for it (emulator/emulated_device.h). Apart from this header, .cu files do not know of the
// emulator.

#ifndef BITGRAD_OPS_CUDA_DEVICE_H_
#define BITGRAD_OPS_CUDA_DEVICE_H_

#ifdef BITGRAD_CUDA_EMULATED
#include "bitgrad/ops/cuda/emulator/emulated_device.h"
#define BITGRAD_CUDA_NAMESPACE cuda_emulated
#else
#include <cuda_runtime.h>
#define BITGRAD_CUDA_NAMESPACE cuda
// Declares the block's dynamic shared memory as bytes, aligned for every kind of access.
#define BITGRAD_DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#endif

#include <cstdint>

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// About how much memory kernels that work in chunks may use at a time. It is small for the emulator, so that tests have
// several chunks.
#ifdef BITGRAD_CUDA_EMULATED
inline constexpr int64_t kMostChunkBytes = 64 << 10;
#else
inline constexpr int64_t kMostChunkBytes = 64 << 20;
#endif

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_DEVICE_H_
