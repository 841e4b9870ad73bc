// The step of an update rule for one element. In double it is the formula of ops/kernels/optimizer_step.h; in float,
// with the operations in the formula's order, it is what every kernel has to compute to the last bit.

#ifndef BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_
#define BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_

#include <algorithm>
#include <cmath>
#include <limits>

#include "bitgrad/ops/kernels/optimizer_step.h"
#include "bitgrad/tests/reference/ap2.h"

namespace bitgrad::reference {

// The rate, and the fields of StepScalars and StepTensor that a step uses.
struct StepArgs {
  float rate = 0.1f;
  float gradient_scale = 1;
  float weight_decay = 0;
  float weight_scale = 1;
  float least = -std::numeric_limits<float>::infinity();
  float most = std::numeric_limits<float>::infinity();

  StepArgs WithClip(float clip) const {
    StepArgs result = *this;
    result.least = -clip;
    result.most = clip;
    return result;
  }
  // Whether a new weight counts as one at a bound.
  bool AtClip(float w) const { return (std::isfinite(least) && w <= least) || (std::isfinite(most) && w >= most); }
  StepTensor Tensor(const float* gradient, float* weight, float* slot0, float* slot1, int64_t count) const {
    return {.gradient = gradient,
            .weight = weight,
            .slots = {slot0, slot1},
            .count = count,
            .weight_decay = weight_decay,
            .weight_scale = weight_scale,
            .least = least,
            .most = most};
  }
};

template <typename Real>
struct StepElement {
  Real weight;
  Real state1 = 0;  // velocity, m
  Real state2 = 0;  // v
};

template <typename Real>
Real ScaledGradient(const StepArgs& args, Real g, Real w) {
  return args.gradient_scale * g + args.weight_decay * w;
}

template <typename Real>
Real Moved(const StepArgs& args, Real w, Real step) {
  return std::clamp<Real>(w + args.weight_scale * step, args.least, args.most);
}

// SGD without a velocity.
template <typename Real>
StepElement<Real> PlainSgd(const StepArgs& args, Real g, Real w) {
  return {Moved<Real>(args, w, -args.rate * ScaledGradient(args, g, w))};
}

template <typename Real>
StepElement<Real> Momentum(const StepArgs& args, float momentum, bool nesterov, Real g, Real velocity, Real w) {
  const Real scaled = args.rate * ScaledGradient(args, g, w);
  const Real v = momentum * velocity - scaled;
  return {Moved<Real>(args, w, nesterov ? momentum * v - scaled : v), v};
}

template <typename Real>
StepElement<Real> Adam(const StepArgs& args, const AdamArgs& adam, Real g, Real m, Real v, Real w) {
  const Real gradient = ScaledGradient(args, g, w);
  const Real b1 = adam.beta1, b2 = adam.beta2;
  const Real m_new = b1 * m + (1 - b1) * gradient;
  const Real v_new = b2 * v + (1 - b2) * (gradient * gradient);
  return {Moved<Real>(args, w, -args.rate * m_new / (std::sqrt(v_new) + adam.epsilon)), m_new, v_new};
}

template <typename Real>
StepElement<Real> AdaMax(const StepArgs& args, const AdamArgs& adam, Real g, Real m, Real v, Real w) {
  const Real gradient = ScaledGradient(args, g, w);
  const Real b1 = adam.beta1, b2 = adam.beta2;
  const Real m_new = b1 * m + (1 - b1) * gradient;
  const Real decayed = b2 * v, size = std::fabs(gradient);
  const Real v_new = size <= decayed ? decayed : size;  // NaN where the gradient is NaN
  return {Moved<Real>(args, w, -args.rate * m_new / (v_new + adam.epsilon)), m_new, v_new};
}

// AP2 jumps at sqrt(2) times a power: near it, the formula in double may decide otherwise than that in float.
template <typename Real>
StepElement<Real> ShiftAdaMax(const StepArgs& args, const AdamArgs& adam, bool keeps_divisor, Real g, Real m, Real v,
                              Real w) {
  const Real gradient = ScaledGradient(args, g, w);
  const Real b1 = adam.beta1, b2 = adam.beta2;
  const Real m_new = b1 * m + (1 - b1) * gradient;
  const Real decayed = b2 * v, size = std::fabs(gradient);
  const Real u = size <= decayed ? decayed : size;
  const Real divisor = static_cast<Real>(Ap2(u)) + adam.epsilon;
  return {Moved<Real>(args, w, -args.rate * m_new / divisor), m_new, keeps_divisor ? divisor : u};
}

template <typename Real>
StepElement<Real> Bop(const StepArgs& args, float threshold, Real g, Real m, Real w) {
  const Real rate = args.rate;
  const Real m_new = (1 - rate) * m + rate * ScaledGradient(args, g, w);
  const Real sign = w >= 0 ? 1 : -1;
  return {std::fabs(m_new) > threshold && (m_new >= 0) == (sign > 0) ? -sign : sign, m_new};
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_OPTIMIZER_STEP_H_
