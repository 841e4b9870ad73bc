// Timing of work that a GPU does: between two events on its stream, with the host out of the way.
//
// A benchmark's operands and results exist in so many copies that together they are larger than any GPU's L2 cache, and
// every call takes the next copy: what is measured reads memory as a net does whose layers follow each other.

#ifndef BITGRAD_BENCH_CUDA_TIMER_H_
#define BITGRAD_BENCH_CUDA_TIMER_H_

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "benchmark/benchmark.h"
#include "bitgrad/core/exec_context.h"

namespace bitgrad {

inline constexpr int64_t kBeyondL2Bytes = int64_t{128} << 20;

// How many copies of `bytes` go beyond the cache.
inline int64_t CopiesBeyondL2(int64_t bytes) {
  return std::clamp<int64_t>(kBeyondL2Bytes / std::max<int64_t>(1, bytes) + 1, 1, 64);
}

// Runs enqueue(i), i = 0, 1, ..., for all iterations; each iteration is a batch of calls long enough for the events'
// clock (half a microsecond). Returns the seconds of one call; zero, with the benchmark's error set, where the GPU
// reports one.
inline double SecondsPerCall(benchmark::State& state, ExecContext& context, absl::FunctionRef<void(int64_t)> enqueue) {
  const auto stream = static_cast<cudaStream_t>(context.stream()->handle());
  cudaEvent_t start, stop;
  cudaEventCreate(&start);
  cudaEventCreate(&stop);
  int64_t call = 0;
  const auto time = [&](int64_t calls) {
    cudaEventRecord(start, stream);
    for (int64_t i = 0; i < calls; ++i) enqueue(call++);
    cudaEventRecord(stop, stream);
    cudaEventSynchronize(stop);
    float milliseconds = 0;
    cudaEventElapsedTime(&milliseconds, start, stop);
    return milliseconds * 1e-3;
  };
  time(3);
  const double once = std::max(time(3) / 3, 1e-6);
  const auto calls = std::clamp<int64_t>(static_cast<int64_t>(2e-3 / once), 1, 1000);
  double seconds = 0;
  for (auto _ : state) {
    const double batch = time(calls);
    state.SetIterationTime(batch / static_cast<double>(calls));
    seconds += batch;
  }
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  if (!context.Synchronize().ok()) {
    state.SkipWithError(std::string(context.status().message()).c_str());
    return 0;
  }
  return seconds / static_cast<double>(calls * state.iterations());
}

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_CUDA_TIMER_H_
