// Numbers of scalar operations: what a step, a layer or an op computes by its formula, whatever instructions run. They
// show what a net of few bits saves (Lin et al., arXiv 1510.03009). Which op counts what is in docs/conventions.md.

#ifndef BITGRAD_GRAPH_ARITHMETIC_H_
#define BITGRAD_GRAPH_ARITHMETIC_H_

#include <cstdint>
#include <string>

namespace bitgrad {

struct ArithmeticCounts {
  int64_t float_multiplications = 0;  // and divisions
  int64_t float_additions = 0;
  int64_t integer_multiplications = 0;
  int64_t integer_additions = 0;
  int64_t shifts = 0;          // products with a power of two
  int64_t xnor_popcounts = 0;  // one-bit multiply-accumulates
  int64_t square_roots = 0;

  ArithmeticCounts& operator+=(const ArithmeticCounts& other) {
    float_multiplications += other.float_multiplications;
    float_additions += other.float_additions;
    integer_multiplications += other.integer_multiplications;
    integer_additions += other.integer_additions;
    shifts += other.shifts;
    xnor_popcounts += other.xnor_popcounts;
    square_roots += other.square_roots;
    return *this;
  }
  // The same for `times` elements.
  ArithmeticCounts operator*(int64_t times) const {
    return {times * float_multiplications, times * float_additions, times * integer_multiplications,
            times * integer_additions,     times * shifts,          times * xnor_popcounts,
            times * square_roots};
  }
  friend bool operator==(const ArithmeticCounts&, const ArithmeticCounts&) = default;
};

// Of one layer in a training step.
struct LayerArithmetic {
  std::string layer;
  ArithmeticCounts forward, backward, update;

  ArithmeticCounts total() const {
    ArithmeticCounts sum = forward;
    sum += backward;
    return sum += update;
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_ARITHMETIC_H_
