// Activations and their derivatives, in double precision.

#ifndef BITGRAD_TESTS_REFERENCE_ELEMENTWISE_H_
#define BITGRAD_TESTS_REFERENCE_ELEMENTWISE_H_

#include <cmath>

#include "bitgrad/ops/kernels/elementwise.h"

namespace bitgrad::reference {

inline double UnaryValue(Unary op, double parameter, double x) {
  if (std::isnan(x)) return x;
  switch (op) {
    case Unary::kRelu: return x > 0 ? x : 0;
    case Unary::kLeakyRelu: return x > 0 ? x : parameter * x;
    case Unary::kHardtanh: return x < -1 ? -1 : x > 1 ? 1 : x;
    case Unary::kSigmoid: return 1 / (1 + std::exp(-x));
    case Unary::kTanh: return std::tanh(x);
  }
  return 0;
}

inline double UnaryDerivative(Unary op, double parameter, double x) {
  const double y = UnaryValue(op, parameter, x);
  switch (op) {
    case Unary::kRelu: return x > 0 ? 1 : 0;
    case Unary::kLeakyRelu: return x > 0 ? 1 : parameter;
    case Unary::kHardtanh: return x >= -1 && x <= 1 ? 1 : 0;
    case Unary::kSigmoid: return y * (1 - y);
    case Unary::kTanh: return 1 - y * y;
  }
  return 0;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_ELEMENTWISE_H_
