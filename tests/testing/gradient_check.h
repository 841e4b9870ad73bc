// Checks a differentiable op against a second, independent formula of its forward pass in double precision: its values
// directly, and its gradients against central differences of that formula.
//
//   CheckGradients({.name = "mul",
//                   .operands = {{.shape = {3, 5}}, {.shape = {3, 5}}},
//                   .op = [](absl::Span<const Var> v) { return Mul(v[0], v[1]); },
//                   .value = [](const Doubles& v) { return v[0] * v[1] of each element; }},
//                  /*seed=*/1);
//
// The library computes in float, so the bounds follow from float's roundings. With e = 2^-24 and the Jacobian J:
//
//   |y_j - value_j|   <= roundings e (|value_j| + sum_i |J_ji x_i|)
//   |dx_i - sum_j r_j J_ji| <= roundings e sum_j |r_j J_ji|  + the error of the differences themselves
//
// r is a random gradient that arrives at y. Where the terms of a gradient cancel inside one J_ji, `magnitude` gives
// their size.

#ifndef BITGRAD_TESTS_TESTING_GRADIENT_CHECK_H_
#define BITGRAD_TESTS_TESTING_GRADIENT_CHECK_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/graph/var.h"
#include "bitgrad/tests/testing/tensors.h"

namespace bitgrad {

using Doubles = std::vector<std::vector<double>>;  // one array per operand, row-major

struct OperandSpec {
  Shape shape;
  float low = -2, high = 2;
  // Points where the op has no derivative; samples keep a distance from them.
  std::vector<float> kinks = {};
  // Gives element i, in place of a uniform sample.
  std::function<float(TestRandom&, int64_t i)> draw = nullptr;
};

struct GradientCase {
  std::string name;
  std::vector<OperandSpec> operands;
  std::function<Var(absl::Span<const Var>)> op;
  std::function<std::vector<double>(const Doubles&)> value;
  // The number of successive roundings, times the factor by which the op magnifies an error of its input.
  double roundings = 8;
  // The size of the terms of operand k's gradient, given the arriving gradient r. By default the differences give it.
  std::function<std::vector<double>(const Doubles&, int k, const std::vector<double>& r)> magnitude = nullptr;
};

// Seed and step of the context in which ops run; the formula of dropout needs them.
inline constexpr uint64_t kGradientCheckSeed = 11;
inline constexpr uint32_t kGradientCheckStep = 1;

// Runs on TestDevice() (test_device.h). Checks values and gradients, and then each gradient once more with all other
// operands constant: it has to have the same bits.
void CheckGradients(const GradientCase& gradient_case, uint64_t seed);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_TESTING_GRADIENT_CHECK_H_
