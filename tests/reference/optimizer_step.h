// An optimizer's step for one element, in double precision.

#ifndef BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_
#define BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_

#include <algorithm>
#include <cmath>
#include <limits>

#include "bitgrad/ops/kernels/optimizer_step.h"

namespace bitgrad::reference {

// The fields of StepScalars and StepTensor that a step uses.
struct StepArgs {
  float rate = 0.1f;
  float gradient_scale = 1;
  float weight_decay = 0;
  float weight_scale = 1;
  float clip = std::numeric_limits<float>::infinity();

  StepScalars scalars() const { return {.rate = rate, .gradient_scale = gradient_scale, .failed = 0}; }
  StepTensor Tensor(const float* gradient, float* weight, float* slot0, float* slot1, int64_t count) const {
    return {.gradient = gradient,
            .weight = weight,
            .slots = {slot0, slot1},
            .count = count,
            .weight_decay = weight_decay,
            .weight_scale = weight_scale,
            .clip = clip};
  }
};

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

inline StepElement Sgd(const StepArgs& args, double momentum, bool nesterov, double g, double velocity, double w) {
  const double scaled = args.rate * ScaledGradient(args, g, w);
  const double v = momentum * velocity - scaled;
  return {Moved(args, w, nesterov ? momentum * v - scaled : v), v};
}

inline StepElement Adam(const StepArgs& args, const AdamArgs& adam, double g, double m, double v, double w) {
  const double gradient = ScaledGradient(args, g, w);
  const double b1 = adam.beta1, b2 = adam.beta2;
  const double m_new = b1 * m + (1 - b1) * gradient;
  const double v_new = b2 * v + (1 - b2) * gradient * gradient;
  return {Moved(args, w, -double{args.rate} * m_new / (std::sqrt(v_new) + adam.epsilon)), m_new, v_new};
}

inline StepElement AdaMax(const StepArgs& args, const AdamArgs& adam, double g, double m, double v, double w) {
  const double gradient = ScaledGradient(args, g, w);
  const double b1 = adam.beta1, b2 = adam.beta2;
  const double m_new = b1 * m + (1 - b1) * gradient;
  const double v_new = std::max(b2 * v, std::fabs(gradient));
  return {Moved(args, w, -double{args.rate} * m_new / (v_new + adam.epsilon)), m_new, v_new};
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_
