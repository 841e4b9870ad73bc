// Sums over the threads of a warp, of a block and of a whole grid, always added in the same order: the grid depends
// only on the problem's size, each block adds up a fixed part, and a second kernel adds the blocks' sums.
//
//   SumOverGrid(context, "sum_all", SumBlocks(count),
//               [=] __device__() { return SumOfElements(x, count, [](float v) { return double{v}; }); },
//               [=] __device__(double sum) { *y = static_cast<float>(sum); });

#ifndef BITGRAD_OPS_CUDA_BLOCK_SUM_H_
#define BITGRAD_OPS_CUDA_BLOCK_SUM_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

inline constexpr int kWarpsPerBlock = kThreads / 32;

// The sum over the lanes of the warp, returned to each of them. REQUIRES: all lanes call.
template <typename T>
__device__ T WarpSum(T x) {
  for (int flip = 16; flip > 0; flip /= 2) x += __shfl_xor_sync(0xffffffffu, x, flip);
  return x;
}

// The sum over the threads of the block, returned to thread 0; other threads get garbage. REQUIRES: the block has
// dim3(kThreads) threads, and all of them call.
template <typename T>
__device__ T BlockSum(T x) {
  __shared__ T warps[kWarpsPerBlock];
  x = WarpSum(x);
  __syncthreads();  // waits until the sums of an earlier call have been read
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = x;
  __syncthreads();
  T sum = 0;
  if (threadIdx.x == 0) {
    for (int w = 0; w < kWarpsPerBlock; ++w) sum += warps[w];
  }
  return sum;
}

// This thread's part of the sum of f(x[i]), i < count, over the grid. It loads 16 bytes at a time where x is aligned.
template <typename F>
__device__ double SumOfElements(const float* x, int64_t count, const F& f) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t fours = reinterpret_cast<uintptr_t>(x) % sizeof(float4) == 0 ? count / 4 : 0;
  const float4* const vectors = reinterpret_cast<const float4*>(x);
  double sum = 0;
#pragma unroll 4
  for (int64_t i = thread; i < fours; i += step) {
    const float4 v = vectors[i];
    sum += (f(v.x) + f(v.y)) + (f(v.z) + f(v.w));
  }
  for (int64_t i = 4 * fours + thread; i < count; i += step) sum += f(x[i]);
  return sum;
}

// The number of blocks for a sum over `count` elements: at most the full occupancy of a large GPU, and at least eight
// elements per thread.
inline int SumBlocks(int64_t count) {
  constexpr int64_t kMostBlocks = 132 * 8;
  return static_cast<int>(std::clamp<int64_t>(count / (8 * kThreads), 1, kMostBlocks));
}

template <typename Part, typename Finish>
__global__ void PartialSumsKernel(Part part, Finish finish, double* partials) {
  const double sum = BlockSum(part());
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1) {
    finish(sum);
  } else {
    partials[blockIdx.x] = sum;
  }
}

template <typename Finish>
__global__ void TotalSumKernel(const double* partials, int count, Finish finish) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) sum += partials[i];
  sum = BlockSum(sum);
  if (threadIdx.x == 0) finish(sum);
}

// Enqueues a sum: finish(sum) runs on one thread of the device with the sum of part() over all threads of a grid of
// `blocks` blocks of dim3(kThreads).
template <typename Part, typename Finish>
void SumOverGrid(ExecContext& context, const char* name, int blocks, const Part& part, const Finish& finish) {
  const Scratch<double> partials(context, blocks);
  Launch(context, name, PartialSumsKernel<Part, Finish>, {dim3(blocks), dim3(kThreads)}, part, finish, partials.data());
  if (blocks > 1) {
    Launch(context, name, TotalSumKernel<Finish>, {dim3(1), dim3(kThreads)}, partials.data(), blocks, finish);
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_BLOCK_SUM_H_
