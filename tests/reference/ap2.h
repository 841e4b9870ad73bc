// AP2, the approximate power of two of BNN (arXiv 1602.02830): sign(x) 2^round(log2 |x|), and 0 for 0.

#ifndef BITGRAD_TESTS_REFERENCE_AP2_H_
#define BITGRAD_TESTS_REFERENCE_AP2_H_

#include <cmath>

namespace bitgrad::reference {

inline double Ap2(double x) { return x == 0 ? x : std::copysign(std::exp2(std::round(std::log2(std::fabs(x)))), x); }

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_AP2_H_
