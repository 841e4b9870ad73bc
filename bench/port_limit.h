// The limit of XNOR-popcount products: how often a core can execute XOR, population count and add on full vectors.

#ifndef BITGRAD_BENCH_PORT_LIMIT_H_
#define BITGRAD_BENCH_PORT_LIMIT_H_

namespace bitgrad {

// Bit-MACs per cycle and core where two vector ports execute the three instructions over 512 bits (Intel, Ice Lake and
// later): 512 / 1.5. Zen 5 has four ports, of which two count ones: 4/3 of 512.
inline constexpr double kTwoPortBitMacsPerCycle = 512 / 1.5;

struct PortLimit {
  // The clock, measured with a chain of dependent adds, which take one cycle each on all of today's processors.
  double clock_ghz = 0;
  // Billions of bit-MACs per second and core of a loop of the three instructions that only uses registers, which is
  // this processor's true limit. 0 where the instruction set has no population count of vectors (below AVX3_DL): the
  // limit then depends on how it is emulated.
  double loop_gmacs = 0;
};

// Takes some 0.1 s. It takes the best of many short trials, by this thread's own time, so that other processes matter
// little. It uses the instruction set that Highway's dispatch has chosen.
PortLimit MeasurePortLimit();

// Adds the limits, and how they were found, to the header of the run.
void AddToContext(const PortLimit& limit);

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_PORT_LIMIT_H_
