// The quantizers' documented formulas, written a second time, in double precision and selected by name.

#ifndef BITGRAD_TESTS_REFERENCE_QUANTIZERS_H_
#define BITGRAD_TESTS_REFERENCE_QUANTIZERS_H_

#include <algorithm>
#include <cmath>

#include "absl/strings/string_view.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad::reference {

// What a quantizer reads beside x: its statistic, its variable, and the scale where it is learned.
struct Numbers {
  Numbers(double statistic, double variable = 0, double scale = 1)  // NOLINT: many quantizers read a statistic alone
      : statistic(statistic), variable(variable), scale(scale) {}
  double statistic, variable, scale;
};

inline double SignSwish(double beta, double x) {
  const double s = 1 / (1 + std::exp(-beta * x));
  return 2 * s * (1 + beta * x * (1 - s)) - 1;
}

// (2 - z tanh(z / 2)) / (1 + cosh(z)), which is SS_1'(z).
inline double SignSwishSlope(double z) {
  return std::fabs(z) > 700 ? 0 : (2 - z * std::tanh(z / 2)) / (1 + std::cosh(z));
}

inline double Round(double x) { return std::floor(x + 0.5); }

inline double Levels(double bits) { return std::pow(2.0, bits) - 1; }

// Q_N and Q_P of lsq.
inline double LsqBelow(const QuantizerArgs& args) {
  return args.role == QuantizerRole::kActivation ? 0 : std::pow(2.0, args.bits - 1);
}
inline double LsqAbove(const QuantizerArgs& args) {
  return args.role == QuantizerRole::kActivation ? Levels(args.bits) : Levels(args.bits - 1);
}

// The mean of a random rounding to a power of two is the size, between those of the exponents [least, most + 1]; with u
// in [0, 1) this is one draw.
inline double RandomPower(double size, int least, int most, double u) {
  if (size == 0) return 0;
  if (size < std::ldexp(1, least)) return u < std::ldexp(size, -least) ? std::ldexp(1, least) : 0;
  const int k = std::min(std::max(std::ilogb(size), least), most);
  return std::ldexp(u < std::ldexp(size, -k) - 1 ? 2 : 1, k);
}

// The value of x in `bits` bits on [0, m], or on [-m, m].
inline double OnRange(const QuantizerArgs& args, double bits, double x, double m) {
  if (m <= 0) return 0;
  const double levels = Levels(bits);
  if (args.role == QuantizerRole::kActivation) return m * Round(levels * std::clamp(x / m, 0.0, 1.0)) / levels;
  return m * (2 * Round(levels * std::clamp(x / (2 * m) + 0.5, 0.0, 1.0)) / levels - 1);
}

// The factor that "scale=..." gives: 1 where the scale is the form's own.
inline double ScaleBesideTheForm(const Quantizer& quantizer, const Numbers& numbers) {
  switch (quantizer.args().scale) {
    case ScaleOperand::kScale: return numbers.scale;
    case ScaleOperand::kStatistic: return numbers.statistic;
    case ScaleOperand::kOne:
    case ScaleOperand::kVariable: break;
  }
  return quantizer.args().fixed_scale;
}

// The surrogate gradient at x. NaN for a quantizer whose formula is missing here.
inline double Surrogate(const Quantizer& quantizer, double x, const Numbers& numbers) {
  const absl::string_view name = quantizer.info().name;
  const QuantizerArgs& args = quantizer.args();
  const double m = numbers.statistic;
  if (name == "identity" || name == "dorefa_gradient" || name == "stochastic_round" || name == "exponential_round" ||
      name == "log_gradient") {
    return 1;
  }
  if (name == "sign" || name == "xnor" || name == "heaviside" || name == "stochastic_sign" || name == "ternary" ||
      name == "stochastic_ternary" || name == "k_bit" || name == "log_quant") {
    return std::fabs(x) <= 1 ? 1 : 0;
  }
  if (name == "approx_sign") return std::max(0.0, 2 - 2 * std::fabs(x));
  if (name == "dorefa_activation") return x >= 0 && x <= 1 ? 1 : 0;
  if (name == "dorefa_weight") return args.bits == 1 ? 1 : (1 - std::pow(std::tanh(x), 2)) / (m > 0 ? m : 1);
  if (name == "swish_sign") {
    const double beta = args.learns_parameter ? numbers.variable : args.parameter;
    return beta * SignSwishSlope(beta * x);
  }
  if (name == "lsq") {
    const double t = x / numbers.variable;
    return t > -LsqBelow(args) && t < LsqAbove(args) ? 1 : 0;
  }
  if (name == "pact") return x >= 0 && x < numbers.variable ? 1 : 0;
  if (name == "max_abs" || name == "bit_pruning") {
    return args.role == QuantizerRole::kActivation ? (x >= 0 && x <= m ? 1 : 0) : (std::fabs(x) <= m ? 1 : 0);
  }
  return std::nan("");
}

// The papers' derivative of the value with respect to the variable; 0 where there is none.
inline double VariableSurrogate(const Quantizer& quantizer, double x, const Numbers& numbers) {
  const absl::string_view name = quantizer.info().name;
  const QuantizerArgs& args = quantizer.args();
  if (name == "lsq") {
    const double t = x / numbers.variable;
    if (t <= -LsqBelow(args)) return -LsqBelow(args);
    if (t >= LsqAbove(args)) return LsqAbove(args);
    return -t + Round(t);
  }
  if (name == "pact") return x >= numbers.variable ? 1 : 0;
  if (name == "bit_pruning") {
    const double b = std::floor(numbers.variable);
    return OnRange(args, b + 1, x, numbers.statistic) - OnRange(args, b, x, numbers.statistic);
  }
  if (name == "swish_sign" && args.learns_parameter) return x * SignSwishSlope(numbers.variable * x);
  return 0;
}

// The quantized value of x. `u` is the random number in [0, 1) of a stochastic quantizer.
inline double Value(const Quantizer& quantizer, double x, const Numbers& numbers, double u) {
  const absl::string_view name = quantizer.info().name;
  const QuantizerArgs& args = quantizer.args();
  const double levels = Levels(args.bits), statistic = numbers.statistic;
  const double sign = x >= 0 ? 1 : -1;
  const double scale = ScaleBesideTheForm(quantizer, numbers);
  if (name == "identity") return scale * x;
  if (name == "sign" || name == "approx_sign" || name == "swish_sign") return scale * sign;
  if (name == "xnor") return statistic * sign;
  if (name == "heaviside") return scale * (x > 0 ? 1 : 0);
  if (name == "stochastic_sign") return scale * (u < std::clamp((x + 1) / 2, 0.0, 1.0) ? 1 : -1);
  if (name == "ternary") return scale * (std::fabs(x) > args.parameter ? sign : 0);
  if (name == "stochastic_ternary") return scale * (u < std::min(std::fabs(x), 1.0) ? sign : 0);
  if (name == "k_bit") return scale * (2 * Round(levels * std::clamp((x + 1) / 2, 0.0, 1.0)) / levels - 1);
  if (name == "lsq") {
    return numbers.variable * std::clamp(Round(x / numbers.variable), -LsqBelow(args), LsqAbove(args));
  }
  if (name == "pact") {
    const double clip = numbers.variable;
    return Round(std::clamp(x, 0.0, clip) * levels / clip) * clip / levels;
  }
  if (name == "max_abs") return OnRange(args, args.bits, x, statistic);
  if (name == "bit_pruning") {
    const double b = std::floor(numbers.variable), a = numbers.variable - b;
    return (1 - a) * OnRange(args, b, x, statistic) + a * OnRange(args, b + 1, x, statistic);
  }
  if (name == "dorefa_activation") return Round(levels * std::clamp(x, 0.0, 1.0)) / levels;
  if (name == "dorefa_weight") {
    if (args.bits == 1) return sign * statistic;
    const double max = statistic > 0 ? statistic : 1;
    const double t = std::clamp(std::tanh(x) / (2 * max) + 0.5, 0.0, 1.0);
    return 2 * Round(levels * t) / levels - 1;
  }
  if (name == "dorefa_gradient") {
    const double t = statistic > 0 ? x / (2 * statistic) + 0.5 : 0.5;
    const double c = std::clamp(std::floor(levels * t + u), 0.0, levels);
    return 2 * statistic * (c / levels - 0.5);
  }
  if (name == "stochastic_round") {
    const double largest = std::pow(2.0, args.bits - 1) - 1;
    const double size = statistic > 0 ? std::min(std::floor(std::fabs(x) * largest / statistic + u), largest) : 0;
    return std::copysign(size, x) * statistic / largest;
  }
  if (name == "log_quant") {
    const double e = std::round(std::log2(std::fabs(x)));  // of 0 it is -infinity
    if (!args.zero) return scale * sign * std::clamp(std::exp2(e), std::exp2(1 - std::pow(2.0, args.bits - 1)), 1.0);
    return x == 0 || e < 2 - std::pow(2.0, args.bits - 1) ? 0 : scale * sign * std::min(std::exp2(e), 1.0);
  }
  if (name == "log_gradient") {
    if (statistic == 0) return 0;
    const int most = static_cast<int>(std::ceil(std::log2(statistic)));
    const int least = most - (1 << (args.bits - 1)) + 2;
    return sign * RandomPower(std::fabs(x), least, most - 1, u);
  }
  if (name == "exponential_round") {
    const ExponentWindow& window = args.exponents;
    if (window.as_authors && std::fabs(x) < std::ldexp(1, window.least)) {
      return std::ldexp(x > 0 ? 1 : -1, window.least);
    }
    return sign * RandomPower(std::fabs(x), window.least, window.most, u);
  }
  return std::nan("");
}

// A lower bound of the distance from x to the next point at which Value jumps, found by trying 1e-9, 2e-9, 4e-9, ... up
// to 1. Where x is nearer to a jump than the roundings of float, the library may end up on its other side.
inline double DistanceToJump(const Quantizer& quantizer, double x, const Numbers& numbers, double u) {
  // The value is constant on [x - d, x + d] for d below the distance: bisect on doubling steps.
  const double here = Value(quantizer, x, numbers, u);
  for (double d = 1e-9; d < 1; d *= 2) {
    if (Value(quantizer, x - d, numbers, u) != here || Value(quantizer, x + d, numbers, u) != here) {
      return d / 2;
    }
  }
  return 1;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_QUANTIZERS_H_
