// Enqueueing a kernel on a context's stream.
//
//   Launch(context, "fill_f32", Fill, OverElements(count), value, y, count);
//
// A launch that fails is reported to the context with the kernel's name. An error while the kernel runs surfaces in the
// next ExecContext::Synchronize() or Download().

#ifndef BITGRAD_OPS_CUDA_LAUNCH_H_
#define BITGRAD_OPS_CUDA_LAUNCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#ifndef BITGRAD_CUDA_EMULATED
#include "bitgrad/ops/cuda/launch_error.h"
#endif

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct LaunchShape {
  dim3 blocks;
  dim3 threads;
  size_t shared_bytes = 0;
};

inline constexpr int kThreads = 256;

// Blocks of kThreads threads: enough for one thread per element, but at most as many as keep any GPU busy. Kernels
// process the remaining elements with ForEachElement().
inline LaunchShape OverElements(int64_t count) {
  constexpr int64_t kMostBlocks = 132 * 16;
  return {dim3(static_cast<unsigned>(std::clamp<int64_t>((count + kThreads - 1) / kThreads, 1, kMostBlocks))),
          dim3(kThreads)};
}

#ifdef BITGRAD_CUDA_EMULATED

template <typename... P, typename... A>
void Launch(ExecContext&, const char* name, void (*kernel)(P...), const LaunchShape& shape, A&&... args) {
  cuda_emulator::Enqueue([=, ... copies = static_cast<P>(args)] {
    cuda_emulator::Run(name, shape.blocks, shape.threads, shape.shared_bytes, [&] { kernel(copies...); });
  });
}

#else

inline cudaStream_t StreamOf(ExecContext& context) { return static_cast<cudaStream_t>(context.stream()->handle()); }

template <typename... P, typename... A>
void Launch(ExecContext& context, const char* name, void (*kernel)(P...), const LaunchShape& shape, A&&... args) {
  if (!context.status().ok()) return;
  if (shape.shared_bytes > 48 * 1024) {
    // More than a kernel gets on every GPU without this call.
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shape.shared_bytes));
  }
  // clang-format would take >>> for the end of three templates.
  // clang-format off
  kernel<<<shape.blocks, shape.threads, shape.shared_bytes, StreamOf(context)>>>(std::forward<A>(args)...);
  // clang-format on
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) ReportLaunchError(context, name, error);
}

#endif

// The following two are called inside kernels: they distribute work over the threads of the grid.
//
// Calls f(i) for this thread's share of the elements 0 .. count - 1. Adjacent threads get adjacent elements.
template <typename F>
__device__ void ForEachElement(int64_t count, const F& f) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) f(i);
}

// Calls f(i, j) for this thread's share of the cells of a [rows, cols] matrix, row by row.
template <typename F>
__device__ void ForEachCell(int64_t rows, int64_t cols, const F& f) {
  if (rows * cols < (int64_t{1} << 31)) {
    // 32-bit division is several times faster.
    const uint32_t width = static_cast<uint32_t>(cols);
    ForEachElement(rows * cols, [&](int64_t k) {
      const uint32_t i = static_cast<uint32_t>(k) / width;
      f(static_cast<int64_t>(i), static_cast<int64_t>(static_cast<uint32_t>(k) - i * width));
    });
  } else {
    ForEachElement(rows * cols, [&](int64_t k) { f(k / cols, k % cols); });
  }
}

template <typename F>
__global__ void ElementsKernel(int64_t count, F f) {
  ForEachElement(count, f);
}

template <typename F>
__global__ void CellsKernel(int64_t rows, int64_t cols, F f) {
  ForEachCell(rows, cols, f);
}

// Enqueues f(i) for all elements, or f(i, j) for all cells, in no particular order.
//
//   ForElements(context, "fill_f32", count, [=] __device__(int64_t i) { y[i] = value; });
template <typename F>
void ForElements(ExecContext& context, const char* name, int64_t count, const F& f) {
  if (count > 0) Launch(context, name, ElementsKernel<F>, OverElements(count), count, f);
}
template <typename F>
void ForCells(ExecContext& context, const char* name, int64_t rows, int64_t cols, const F& f) {
  if (rows * cols > 0) Launch(context, name, CellsKernel<F>, OverElements(rows * cols), rows, cols, f);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_LAUNCH_H_
