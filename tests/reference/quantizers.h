// The quantizers' documented formulas, written a second time, in double precision and selected by name.

#ifndef BITGRAD_TESTS_REFERENCE_QUANTIZERS_H_
#define BITGRAD_TESTS_REFERENCE_QUANTIZERS_H_

#include <algorithm>
#include <cmath>
#include <string>

#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad::reference {

inline double SignSwish(double beta, double x) {
  const double s = 1 / (1 + std::exp(-beta * x));
  return 2 * s * (1 + beta * x * (1 - s)) - 1;
}

// The surrogate gradient at x. NaN for a quantizer whose formula is missing here.
inline double Surrogate(const Quantizer& quantizer, double x, double statistic) {
  const std::string name(quantizer.info().name);
  const double window = std::fabs(x) <= 1 ? 1 : 0;
  if (name == "identity" || name == "dorefa_gradient" || name == "stochastic_round") return 1;
  if (name == "sign" || name == "stochastic_sign" || name == "ternary" || name == "stochastic_ternary" ||
      name == "k_bit") {
    return window;
  }
  if (name == "approx_sign") return std::max(0.0, 2 - 2 * std::fabs(x));
  if (name == "dorefa_activation") return x >= 0 && x <= 1 ? 1 : 0;
  if (name == "dorefa_weight") {
    return quantizer.args().bits == 1 ? 1 : (1 - std::pow(std::tanh(x), 2)) / (statistic > 0 ? statistic : 1);
  }
  if (name == "swish_sign") {
    const double z = quantizer.args().parameter * x;
    if (std::fabs(z) > 700) return 0;
    return quantizer.args().parameter * (2 - z * std::tanh(z / 2)) / (1 + std::cosh(z));
  }
  return std::nan("");
}

// The quantized value of x. `u` is the random number in [0, 1) of a stochastic quantizer.
inline double Value(const Quantizer& quantizer, double x, double statistic, double u) {
  const std::string name(quantizer.info().name);
  const double levels = std::pow(2.0, quantizer.args().bits) - 1;
  const double sign = x >= 0 ? 1 : -1;
  if (name == "identity") return x;
  if (name == "sign" || name == "approx_sign" || name == "swish_sign") return sign;
  if (name == "stochastic_sign") return u < std::clamp((x + 1) / 2, 0.0, 1.0) ? 1 : -1;
  if (name == "ternary") return std::fabs(x) > quantizer.args().parameter ? sign : 0;
  if (name == "stochastic_ternary") return u < std::min(std::fabs(x), 1.0) ? sign : 0;
  if (name == "k_bit") {
    return 2 * std::floor(levels * std::clamp((x + 1) / 2, 0.0, 1.0) + 0.5) / levels - 1;
  }
  if (name == "dorefa_activation") return std::floor(levels * std::clamp(x, 0.0, 1.0) + 0.5) / levels;
  if (name == "dorefa_weight") {
    if (quantizer.args().bits == 1) return sign * statistic;
    const double max = statistic > 0 ? statistic : 1;
    const double t = std::clamp(std::tanh(x) / (2 * max) + 0.5, 0.0, 1.0);
    return 2 * std::floor(levels * t + 0.5) / levels - 1;
  }
  if (name == "dorefa_gradient") {
    const double t = statistic > 0 ? x / (2 * statistic) + 0.5 : 0.5;
    const double c = std::clamp(std::floor(levels * t + u), 0.0, levels);
    return 2 * statistic * (c / levels - 0.5);
  }
  if (name == "stochastic_round") {
    const double largest = std::pow(2.0, quantizer.args().bits - 1) - 1;
    const double size = statistic > 0 ? std::min(std::floor(std::fabs(x) * largest / statistic + u), largest) : 0;
    return std::copysign(size, x) * statistic / largest;
  }
  return std::nan("");
}

// A lower bound of the distance from x to the next point at which Value jumps, found by trying 1e-9, 2e-9, 4e-9, ... up
// to 1. Where x is nearer to a jump than the roundings of float, the library may end up on its other side.
inline double DistanceToJump(const Quantizer& quantizer, double x, double statistic, double u) {
  // The value is constant on [x - d, x + d] for d below the distance: bisect on doubling steps.
  const double here = Value(quantizer, x, statistic, u);
  for (double d = 1e-9; d < 1; d *= 2) {
    if (Value(quantizer, x - d, statistic, u) != here || Value(quantizer, x + d, statistic, u) != here) {
      return d / 2;
    }
  }
  return 1;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_QUANTIZERS_H_
