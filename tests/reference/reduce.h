// Sums, computed term by term.

#ifndef BITGRAD_TESTS_REFERENCE_REDUCE_H_
#define BITGRAD_TESTS_REFERENCE_REDUCE_H_

#include <cmath>
#include <cstdint>

namespace bitgrad::reference {

struct Sum {
  double value = 0;
  double magnitude = 0;  // the sum of the absolute values

  void Add(double term) {
    value += term;
    magnitude += std::fabs(term);
  }
};

// sum_i f(i), i < count
template <typename F>
Sum SumOf(int64_t count, const F& f) {
  Sum sum;
  for (int64_t i = 0; i < count; ++i) sum.Add(f(i));
  return sum;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_REDUCE_H_
