// One element of an optimizer step, in double.

#ifndef BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_
#define BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_

#include <algorithm>
#include <cmath>

#include "ops/kernels/optimizer_step.h"

namespace bitgrad::reference {

struct StepElement {
  double weight;
  double state1 = 0;  // velocity, m
  double state2 = 0;  // v
};

inline double ScaledGradient(const StepArgs& args, double g, double w) {
  return args.gradient_scale * g + args.weight_decay * w;
}

inline double Moved(const StepArgs& args, double w, double step) {
  const double clip = args.clip;
  return std::clamp(w + args.weight_scale * step, -clip, clip);
}

inline StepElement Sgd(const StepArgs& args, double momentum, bool nesterov, double g, double velocity,
                       double w) {
  const double scaled = args.learning_rate * ScaledGradient(args, g, w);
  const double v = momentum * velocity - scaled;
  return {Moved(args, w, nesterov ? momentum * v - scaled : v), v};
}

inline StepElement Adam(const StepArgs& args, const AdamArgs& adam, double g, double m, double v, double w) {
  const double gradient = ScaledGradient(args, g, w);
  const double b1 = adam.beta1, b2 = adam.beta2;
  const double m_new = b1 * m + (1 - b1) * gradient;
  const double v_new = b2 * v + (1 - b2) * gradient * gradient;
  const double rate = args.learning_rate * std::sqrt(1 - std::pow(b2, adam.t)) / (1 - std::pow(b1, adam.t));
  return {Moved(args, w, -rate * m_new / (std::sqrt(v_new) + adam.epsilon)), m_new, v_new};
}

inline StepElement AdaMax(const StepArgs& args, const AdamArgs& adam, double g, double m, double v, double w) {
  const double gradient = ScaledGradient(args, g, w);
  const double b1 = adam.beta1, b2 = adam.beta2;
  const double m_new = b1 * m + (1 - b1) * gradient;
  const double v_new = std::max(b2 * v, std::fabs(gradient));
  const double rate = args.learning_rate / (1 - std::pow(b1, adam.t));
  return {Moved(args, w, -rate * m_new / (v_new + adam.epsilon)), m_new, v_new};
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_
