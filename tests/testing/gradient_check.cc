#include "bitgrad/tests/testing/gradient_check.h"

#include <cmath>
#include <utility>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr double kStep = 0x1p-16;
constexpr float kKinkDistance = 0.02f;

std::vector<Tensor> DrawOperands(const std::vector<OperandSpec>& specs, TestRandom& random) {
  std::vector<Tensor> operands;
  for (const OperandSpec& spec : specs) {
    std::vector<float> values(spec.shape.num_elements());
    for (size_t i = 0; i < values.size(); ++i) {
      bool near_kink;
      do {
        values[i] = spec.draw ? spec.draw(random, i) : random.Uniform(spec.low, spec.high);
        near_kink = false;
        for (float kink : spec.kinks) near_kink |= std::fabs(values[i] - kink) < kKinkDistance;
      } while (near_kink);
    }
    operands.push_back(Floats(spec.shape, values));
  }
  return operands;
}

// The library's results: y, and the gradients of sum(y r).
struct Computed {
  Tensor y;
  std::vector<Tensor> gradients;  // null where they were not requested
};

// Only operand `only` is differentiable, or all of them where it is -1. Where r is null, it is first drawn, in the
// shape of y.
Computed Compute(const GradientCase& c, const std::vector<Tensor>& operands, int only, Tensor& r, TestRandom& random) {
  ExecContext context(
      {.device = TestDevice(), .threads = 1, .seed = kGradientCheckSeed, .backward = BackwardPrecision::kFloat32});
  Tape tape(context);
  std::vector<Var> vars;
  for (size_t k = 0; k < operands.size(); ++k) {
    const bool differentiable = only < 0 || only == static_cast<int>(k);
    const Tensor operand = ToDevice(context, operands[k]);
    vars.push_back(differentiable ? tape.Differentiable(operand) : tape.Input(operand));
  }
  const Var y = c.op(vars);
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  if (!tape.status().ok()) return {};
  if (r.is_null()) r = random.UniformTensor(y.shape(), 0.5f, 2);
  const absl::Status status = tape.Backward(Sum(Mul(y, tape.Input(ToDevice(context, r)))));
  EXPECT_TRUE(status.ok()) << status;
  if (!status.ok()) return {};
  Computed computed;
  computed.y = ToHost(context, **tape.Value(y)).Clone();
  for (size_t k = 0; k < operands.size(); ++k) {
    const absl::StatusOr<const Tensor*> gradient = tape.Gradient(vars[k]);
    EXPECT_EQ(gradient.ok(), only < 0 || only == static_cast<int>(k)) << gradient.status();
    computed.gradients.push_back(gradient.ok() ? ToHost(context, **gradient).Clone() : Tensor());
  }
  return computed;
}

// The products of the Jacobian with r, from central differences of the double-precision formula.
struct Differences {
  Doubles gradients;            // sum_j r_j J_ji
  Doubles magnitude;            // sum_j |r_j J_ji|
  Doubles noise;                // bounds of the differences' own errors
  std::vector<double> y_shift;  // sum_i |J_ji x_i|
};

Differences Differentiate(const GradientCase& c, Doubles operands, const std::vector<double>& y,
                          const std::vector<double>& r) {
  Differences d;
  d.y_shift.assign(y.size(), 0);
  for (std::vector<double>& operand : operands) {
    std::vector<double> gradient, magnitude, noise;
    for (double& x : operand) {
      const double x0 = x;
      x = x0 + kStep;
      const std::vector<double> above = c.value(operands);
      x = x0 - kStep;
      const std::vector<double> below = c.value(operands);
      x = x0;
      double sum = 0, size = 0, lost = 0;
      for (size_t j = 0; j < y.size(); ++j) {
        if (above[j] == below[j]) continue;
        const double slope = (above[j] - below[j]) / (2 * kStep);
        sum += r[j] * slope;
        size += std::fabs(r[j] * slope);
        lost += std::fabs(r[j]) * (1 + std::fabs(y[j]));
        d.y_shift[j] += std::fabs(slope * x0);
      }
      gradient.push_back(sum);
      magnitude.push_back(size);
      noise.push_back(1e-9 * lost);
    }
    d.gradients.push_back(std::move(gradient));
    d.magnitude.push_back(std::move(magnitude));
    d.noise.push_back(std::move(noise));
  }
  return d;
}

std::vector<double> ToDoubles(const Tensor& tensor) {
  return {tensor.span<float>().begin(), tensor.span<float>().end()};
}

}  // namespace

void CheckGradients(const GradientCase& c, uint64_t seed) {
  TestRandom random(seed);
  SCOPED_TRACE(c.name + ", " + random.ToString());
  const std::vector<Tensor> operands = DrawOperands(c.operands, random);
  Tensor r;
  const Computed computed = Compute(c, operands, -1, r, random);
  ASSERT_FALSE(computed.y.is_null());

  Doubles x;
  for (const Tensor& operand : operands) x.push_back(ToDoubles(operand));
  const std::vector<double> y = c.value(x), r_values = ToDoubles(r);
  ASSERT_EQ(computed.y.num_elements(), static_cast<int64_t>(y.size()));
  const Differences expected = Differentiate(c, x, y, r_values);

  for (size_t j = 0; j < y.size(); ++j) {
    const double bound = c.roundings * kRounding * (std::fabs(y[j]) + expected.y_shift[j]);
    ASSERT_NEAR(computed.y.data<float>()[j], y[j], bound) << "value " << j;
  }
  for (size_t k = 0; k < operands.size(); ++k) {
    ASSERT_FALSE(computed.gradients[k].is_null());
    ASSERT_EQ(computed.gradients[k].shape(), operands[k].shape());
    const std::vector<double> magnitude =
        c.magnitude ? c.magnitude(x, static_cast<int>(k), r_values) : expected.magnitude[k];
    for (size_t i = 0; i < x[k].size(); ++i) {
      const double bound = c.roundings * kRounding * magnitude[i] + expected.noise[k][i];
      ASSERT_NEAR(computed.gradients[k].data<float>()[i], expected.gradients[k][i], bound)
          << "gradient of operand " << k << ", element " << i;
    }
  }
  for (size_t k = 0; k < operands.size() && operands.size() > 1; ++k) {
    SCOPED_TRACE("only operand " + std::to_string(k) + " wants a gradient");
    const Computed alone = Compute(c, operands, static_cast<int>(k), r, random);
    ASSERT_FALSE(alone.y.is_null());
    ExpectSameBits(alone.y, computed.y);
    ExpectSameBits(alone.gradients[k], computed.gradients[k]);
  }
}

}  // namespace bitgrad
