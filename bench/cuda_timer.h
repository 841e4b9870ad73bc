// Timing of a GPU's work: between two events on its stream, so that the host's time does not count.
//
// A benchmark has so many copies of its operands and results that together they are larger than any GPU's L2 cache, and
// every call uses the next copy. So the calls read from memory, as they do in a net whose layers follow each other.

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

// The number of copies of `bytes` bytes that do not fit into the cache.
inline int64_t CopiesBeyondL2(int64_t bytes) {
  return std::clamp<int64_t>(kBeyondL2Bytes / std::max<int64_t>(1, bytes) + 1, 1, 64);
}

// Runs enqueue(i), i = 0, 1, ..., for all iterations. Each iteration is a batch of calls that takes long enough for the
// events' clock, whose resolution is half a microsecond. Returns the seconds of one call, or 0, with the benchmark's
// error set, where the GPU reports an error.
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
