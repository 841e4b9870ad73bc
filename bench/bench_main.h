// BenchMain: the main() of every suite, except for its benchmarks.
//
//   int main(int argc, char** argv) { return bitgrad::BenchMain(argc, argv, [] { return Register(); }); }
//
// bitgrad's flags (ABSL_FLAG; --name=value, or --name for a bool) are read first and removed from the command line;
// Google Benchmark then reads its own (--benchmark_...). Every suite has the flag
//
//   --hwy_target=AVX2   runs bitgrad's kernels as compiled for this instruction set instead of the machine's best.
//                       oneDNN, the baseline, is not affected (its own switch is the variable ONEDNN_MAX_CPU_ISA).
//
// The header of a run, on the screen and in the JSON file, names the instruction set and the processor.

#ifndef BITGRAD_BENCH_BENCH_MAIN_H_
#define BITGRAD_BENCH_BENCH_MAIN_H_

#include <chrono>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "benchmark/benchmark.h"

namespace bitgrad {

// Runs a suite and returns its exit status. After the flags have been read, `setup` registers benchmarks and adds to
// the header (benchmark::AddCustomContext). Where a flag is wrong, `setup` fails or a benchmark reports an error, a
// line is printed on stderr and the exit status is 1; so a suite that is run as a test fails where its results are
// wrong.
int BenchMain(int argc, char** argv, absl::FunctionRef<absl::Status()> setup);

// Runs body() for all iterations and returns the wall time of one iteration in seconds. Counters are computed from
// this, because Google Benchmark's own rates are printed as "0.9/s", whatever they are a rate of.
template <typename Body>
double SecondsPerIteration(benchmark::State& state, const Body& body) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  for (auto _ : state) {
    body();
    benchmark::ClobberMemory();
  }
  return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(state.iterations());
}

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_BENCH_MAIN_H_
