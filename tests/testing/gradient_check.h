// Checks a differentiable op against an independent statement of its forward pass in double precision: its values
// directly, its gradients by central differences of that statement.
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
//   |dx_i - sum_j r_j J_ji| <= roundings e sum_j |r_j J_ji|  + what the differences themselves lose
//
// where r is a random gradient that arrives at y. Where a gradient's terms cancel inside one J_ji, `magnitude`
// says how large they are.

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
  // Points where the op has no derivative: samples keep away from them.
  std::vector<float> kinks = {};
  // Instead of a uniform sample, element i is this.
  std::function<float(TestRandom&, int64_t i)> draw = nullptr;
};

struct GradientCase {
  std::string name;
  std::vector<OperandSpec> operands;
  std::function<Var(absl::Span<const Var>)> op;
  std::function<std::vector<double>(const Doubles&)> value;
  // Roundings in a row, and per unit of error the factor by which the op enlarges it.
  double roundings = 8;
  // The size of the terms of operand `k`'s gradient, given the arriving gradient r; by default from the differences.
  std::function<std::vector<double>(const Doubles&, int k, const std::vector<double>& r)> magnitude = nullptr;
};

// Seed and step of the context in which ops run: what a statement of dropout needs.
inline constexpr uint64_t kGradientCheckSeed = 11;
inline constexpr uint32_t kGradientCheckStep = 1;

// On TestDevice() (test_device.h): values and gradients, then each gradient again with all other operands constant: it
// has to be the same bits.
void CheckGradients(const GradientCase& gradient_case, uint64_t seed);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_TESTING_GRADIENT_CHECK_H_
