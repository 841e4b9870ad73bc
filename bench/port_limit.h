// What XNOR-popcount products are limited by: how often a core can do XOR, population count and add on full vectors.

#ifndef BITGRAD_BENCH_PORT_LIMIT_H_
#define BITGRAD_BENCH_PORT_LIMIT_H_

namespace bitgrad {

// Bit-MACs per cycle and core of the three instructions over 512 bits on two vector ports (Intel, Ice Lake and later):
// 512 / 1.5. On Zen 5 there are four ports, of which two count: 4/3 of 512.
inline constexpr double kTwoPortBitMacsPerCycle = 512 / 1.5;

struct PortLimit {
  // From a chain of dependent adds, one per cycle on all of today's processors.
  double clock_ghz = 0;
  // Billions of bit-MACs per second and core of a loop of the three instructions that touches nothing but registers, so
  // the true limit of this processor. 0 where the instruction set has no vector population count (below AVX3_DL):
  // there the limit depends on how it is emulated.
  double loop_gmacs = 0;
};

// Some 0.1 s; the best of many short trials by this thread's own time, so that other processes matter little. With the
// instruction set that Highway's dispatch takes now.
PortLimit MeasurePortLimit();

// Adds the limits, and how they were found, to the header of the run.
void AddToContext(const PortLimit& limit);

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_PORT_LIMIT_H_
