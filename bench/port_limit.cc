#include "bitgrad/bench/port_limit.h"

#include <time.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_format.h"
#include "benchmark/benchmark.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/port_limit.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Runs `rounds` rounds of the loop and returns their number of bit-MACs, or 0 where there is nothing to measure.
int64_t CountLoop(int64_t rounds) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL  // the better the target, the smaller its number
  const hn::ScalableTag<uint64_t> d;
  using Vec = hn::Vec<decltype(d)>;
  // Enough independent chains to hide the three latencies; each sum enters the next XOR, so nothing can be hoisted.
  constexpr int kChains = 20;
  Vec sum[kChains];
#pragma GCC unroll 32
  for (int c = 0; c < kChains; ++c) sum[c] = hn::Set(d, static_cast<uint64_t>(c) * 0x9E3779B97F4A7C15u);
  const Vec x = hn::Set(d, 0x6A09E667F3BCC908u);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 32
    for (int c = 0; c < kChains; ++c) sum[c] = hn::Add(sum[c], hn::PopulationCount(hn::Xor(sum[c], x)));
  }
  for (int c = 1; c < kChains; ++c) sum[0] = hn::Add(sum[0], sum[c]);
  uint64_t total = hn::GetLane(sum[0]);
  benchmark::DoNotOptimize(total);
  return rounds * kChains * static_cast<int64_t>(hn::Lanes(d)) * 64;
#else
  static_cast<void>(rounds);
  return 0;
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad {
namespace {

HWY_EXPORT(CountLoop);

double ThreadNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// The best rate, in units per nanosecond, of `trials` calls of work(), which returns the number of units that it did.
template <typename Work>
double BestRate(int trials, const Work& work) {
  double best = 0;
  for (int t = 0; t < trials; ++t) {
    const double start = ThreadNanoseconds();
    const double units = static_cast<double>(work());
    best = std::max(best, units / (ThreadNanoseconds() - start));
  }
  return best;
}

int64_t DependentAdds() {
  constexpr int64_t kRounds = 100000, kAdds = 16;
  uint64_t sum = 1, step = 3;
  asm("" : "+r"(step));  // keeps it in a register: on some processors adding a constant costs no cycle
  for (int64_t r = 0; r < kRounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kAdds; ++i) {
      sum += step;
      asm volatile("" : "+r"(sum));
    }
  }
  benchmark::DoNotOptimize(sum);
  return kRounds * kAdds;
}

}  // namespace

PortLimit MeasurePortLimit() {
  constexpr int kTrials = 100;
  return {.clock_ghz = BestRate(kTrials, DependentAdds),
          .loop_gmacs = BestRate(kTrials, [] { return HWY_DYNAMIC_DISPATCH(CountLoop)(100000); })};
}

void AddToContext(const PortLimit& limit) {
  benchmark::AddCustomContext("clock_ghz", absl::StrFormat("%.3f (a chain of dependent adds)", limit.clock_ghz));
  benchmark::AddCustomContext(
      "two_port_limit_gmacs",
      absl::StrFormat("%.0f per core (the clock x %.0f bit-MAC/cycle: xor, popcnt, add on two 512-bit ports)",
                      limit.clock_ghz * kTwoPortBitMacsPerCycle, kTwoPortBitMacsPerCycle));
  benchmark::AddCustomContext("loop_limit_gmacs",
                              limit.loop_gmacs == 0
                                  ? "n/a (no vector population count)"
                                  : absl::StrFormat("%.0f per core (xor, popcnt, add in registers: %.0f bit-MAC/cycle)",
                                                    limit.loop_gmacs, limit.loop_gmacs / limit.clock_ghz));
}

}  // namespace bitgrad

#endif  // HWY_ONCE
