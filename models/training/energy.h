// An estimate of the energy that arithmetic takes, from published figures of a 45 nm process at 0.9 V. It is about
// arithmetic alone: reading an operand from DRAM takes a thousand times as much as an addition, 1.3 to 2.6 nJ for 64
// bits. So it compares methods, and says nothing of a given machine.

#ifndef BITGRAD_MODELS_TRAINING_ENERGY_H_
#define BITGRAD_MODELS_TRAINING_ENERGY_H_

#include "bitgrad/graph/arithmetic.h"

namespace bitgrad {

// Picojoules of one operation.
struct EnergyOfOperations {
  // M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014.
  double float_multiplication = 3.7;    // 32 bits
  double float_addition = 0.9;          // 32 bits
  double integer_multiplication = 0.2;  // 8 bits
  double integer_addition = 0.1;        // 32 bits
  // H. You et al., "ShiftAddNet", arXiv 2010.12785, table 1: a shift of 32 bits, in the same process.
  double shift = 0.13;
  // Ours, for want of a published figure: an 8-bit addition (0.03) has eight full adders, and a one-bit product is a
  // gate and its share of a counter.
  double xnor_popcount = 0.03 / 8;
  // Ours: as much as a multiplication.
  double square_root = 3.7;
};

inline double PicojoulesOf(const ArithmeticCounts& counts, const EnergyOfOperations& energy = {}) {
  const auto of = [](int64_t count, double picojoules) { return static_cast<double>(count) * picojoules; };
  return of(counts.float_multiplications, energy.float_multiplication) +
         of(counts.float_additions, energy.float_addition) +
         of(counts.integer_multiplications, energy.integer_multiplication) +
         of(counts.integer_additions, energy.integer_addition) + of(counts.shifts, energy.shift) +
         of(counts.xnor_popcounts, energy.xnor_popcount) + of(counts.square_roots, energy.square_root);
}

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_ENERGY_H_
