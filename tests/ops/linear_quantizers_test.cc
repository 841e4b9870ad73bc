// Linear with every pair of quantizers: y is the product of the quantized values, and gradients are the product's
// gradients times the quantizer's surrogate. The formulas are those of tests/reference/quantizers.h.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/ops/linear_testing.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// Every quantizer of one tensor's operand that learns nothing, with the arguments at which formulas change. What is
// learned, and numbers for each output, are the business of quantize_test and of ScalesOfOutputs below.
std::vector<std::string> OperandQuantizers() {
  std::vector<std::string> result;
  for (const QuantizerInfo& info : AllQuantizers()) {
    const Quantizer quantizer = ParseQuantizer(info.name).value();
    if (quantizer.granularity() == Granularity::kTensor && !quantizer.has_variable() && !info.for_gradients) {
      result.push_back(std::string(info.name));
    }
  }
  for (const char* more : {"k_bit(1)", "k_bit(8)", "dorefa_activation(1)", "dorefa_activation(8)", "dorefa_weight(3)",
                           "max_abs(2)", "ternary(0.25)", "swish_sign(2)", "sign(scale=0.5)", "k_bit(3, scale=2)",
                           "exponential_round(least=-1, most=0)", "log_quant(2)"}) {
    result.push_back(more);
  }
  return result;
}

double StatisticOf(Statistic kind, const std::vector<float>& values) {
  double sum = 0, max = 0;
  for (float v : values) {
    sum += std::fabs(v);
    max = std::max(max, std::fabs(double{v}));
  }
  if (kind == Statistic::kMaxAbs) return max;
  if (kind == Statistic::kMeanAbs) return static_cast<float>(sum / static_cast<double>(values.size()));
  if (kind == Statistic::kMaxAbsTanh) return std::tanh(max);
  return 0;
}

// An operand as the formulas give it.
struct Reference {
  double scale = 1;
  std::vector<double> codes;  // or the values, where the encoding is float
  std::vector<double> surrogate;
  double surrogate_size = 1;  // the size of the terms whose sum is the surrogate
  bool exact_scale = true;
};

// Whether a latent weight with this quantizer gets the gradient of the quantized weight unchanged.
bool PassesAsWeight(const std::string& name) {
  for (const char* pass :
       {"identity", "sign", "stochastic_sign", "ternary", "stochastic_ternary", "k_bit", "heaviside", "log_quant"}) {
    if (name == pass) return true;
  }
  return false;
}

Quantizer InRole(const Quantizer& q, uint32_t operand) {
  return q.In(operand == 1 ? QuantizerRole::kWeight : QuantizerRole::kActivation);
}

Reference Quantized(const Quantizer& of_any_role, const std::vector<float>& values, uint32_t operand) {
  const Quantizer q = InRole(of_any_role, operand);
  const std::string name(q.info().name);
  const double statistic = StatisticOf(q.statistic(), values);
  Reference result;
  result.exact_scale = q.statistic() == Statistic::kNone;
  if (q.encoding().is_integer()) {
    result.scale = q.scale(q.scale_operand() == ScaleOperand::kStatistic ? static_cast<float>(statistic) : 1.0f);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const double u = Uniform(StreamOf(operand), i);
    const double value = reference::Value(q, values[i], statistic, u);
    result.codes.push_back(q.encoding().is_integer() ? std::round(value / result.scale) : value);
    const bool passes = operand == 1 && PassesAsWeight(name);
    const double fixed_scale = q.args().fixed_scale;
    result.surrogate.push_back(fixed_scale * (passes ? 1 : reference::Surrogate(q, values[i], statistic)));
  }
  if (name == "swish_sign") result.surrogate_size = 2 * q.args().parameter;
  if (name == "approx_sign") result.surrogate_size = 4;
  if (name == "dorefa_weight" && q.args().bits > 1) result.surrogate_size = 1 / statistic;
  return result;
}

// Random values at which a rounding in float cannot change the quantized value.
std::vector<float> Draw(const Quantizer& of_any_role, int64_t count, uint32_t operand, TestRandom& random) {
  const Quantizer q = InRole(of_any_role, operand);
  std::vector<float> values(count);
  for (float& value : values) value = random.Uniform(-2, 2);
  // The largest weight would be at the edge of the grid; it is far from the next jump.
  const double statistic = StatisticOf(q.statistic(), values);
  for (int64_t i = 0; i < count; ++i) {
    const double u = Uniform(StreamOf(operand), i);
    // The jumps of a quantizer whose range is the statistic lie as close together as that is small.
    const double far = q.statistic() == Statistic::kMaxAbs ? 1e-5 * std::min(1.0, statistic) : 1e-5;
    while (!q.is_identity() && reference::DistanceToJump(q, values[i], statistic, u) < far) {
      values[i] *= 0.99f;
    }
  }
  return values;
}

using LinearSteTest = OnTestDevice<testing::Test>;

struct Size {
  int64_t batch, in, out;
};

void CheckPair(const Quantizer& input, const Quantizer& weight, const Size& size, uint64_t seed) {
  TestRandom random(seed);
  SCOPED_TRACE(input.ToString() + " x " + weight.ToString() + ", " + random.ToString());
  const auto [m, k, n] = size;
  const Tensor x = Floats({m, k}, Draw(input, m * k, 0, random));
  const Tensor w = Floats({n, k}, Draw(weight, n * k, 1, random));
  const Tensor r = random.UniformTensor({m, n});
  const Outcome run = RunLinear({.input = input, .weight = weight}, x, w, r);
  ASSERT_FALSE(run.y.is_null());
  const Reference qx = Quantized(input, ValuesOf(x), 0), qw = Quantized(weight, ValuesOf(w), 1);
  const bool integers = InRole(input, 0).encoding().is_integer() && InRole(weight, 1).encoding().is_integer();

  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double dot = 0, terms = 0;
      for (int64_t l = 0; l < k; ++l) {
        const double term = qx.codes[i * k + l] * qw.codes[j * k + l];
        dot += term;
        terms += std::fabs(term);
      }
      const float y = run.y.data<float>()[i * n + j];
      if (integers && qx.exact_scale && qw.exact_scale) {
        const float scale = static_cast<float>(qx.scale) * static_cast<float>(qw.scale);
        ASSERT_EQ(y, static_cast<float>(dot) * scale) << "y[" << i << ", " << j << "]";
      } else {
        const double roundings = integers ? 8 : 8 + static_cast<double>(k);
        ASSERT_NEAR(y, dot * qx.scale * qw.scale, roundings * kRounding * terms * qx.scale * qw.scale);
      }
    }
  }
  // d[a, b] = sum_l r codes[..], times the surrogate at (a, b).
  const auto check = [&](const char* what, const Tensor& d, int64_t terms, const Reference& self,
                         const Reference& other, const auto& dy, const auto& other_index) {
    for (int64_t i = 0; i < d.num_elements(); ++i) {
      const int64_t a = i / k, b = i % k;
      double sum = 0, magnitude = 0;
      for (int64_t l = 0; l < terms; ++l) {
        const double term = dy(a, l) * other.codes[other_index(l, b)] * other.scale;
        sum += term;
        magnitude += std::fabs(term);
      }
      const double surrogate = self.surrogate[i];
      const double bound = kRounding * magnitude *
                           ((8 + static_cast<double>(terms)) * std::fabs(surrogate) +
                            (surrogate == 0 || surrogate == 1 ? 0 : 32 * self.surrogate_size));
      ASSERT_NEAR(d.data<float>()[i], sum * surrogate, bound) << what << "[" << a << ", " << b << "]";
    }
  };
  const float* dy = r.data<float>();
  check(
      "dx", run.dx, n, qx, qw, [&](int64_t a, int64_t l) { return double{dy[a * n + l]}; },
      [&](int64_t l, int64_t b) { return l * k + b; });
  check(
      "dw", run.dw, m, qw, qx, [&](int64_t a, int64_t l) { return double{dy[l * n + a]}; },
      [&](int64_t l, int64_t b) { return l * k + b; });
}

class LinearQuantizersTest : public OnTestDevice<testing::TestWithParam<std::string>> {};

TEST_P(LinearQuantizersTest, EveryWeightQuantizer) {
  uint64_t seed = 100;
  for (const std::string& weight : OperandQuantizers()) {
    for (const Size& size : {Size{1, 1, 1}, Size{3, 65, 7}, Size{4, 130, 2}}) {
      CheckPair(Make(GetParam()), Make(weight), size, seed++);
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Inputs, LinearQuantizersTest, testing::ValuesIn(OperandQuantizers()),
                         [](const testing::TestParamInfo<std::string>& info) {
                           std::string name = info.param;
                           for (char& c : name) c = std::isalnum(c) ? c : '_';
                           return name;
                         });

// Edges of the window, zeros of both signs, NaN and infinities.
TEST_F(LinearSteTest, EdgesOfTheWindow) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {1,
                                -1,
                                std::nextafter(1.0f, 2.0f),
                                std::nextafter(-1.0f, -2.0f),
                                0,
                                -0.0f,
                                nan,
                                inf,
                                -inf,
                                -std::numeric_limits<float>::denorm_min()};
  const std::vector<float> sign = {1, -1, 1, -1, 1, 1, -1, 1, -1, -1};
  const std::vector<float> window = {1, 1, 0, 0, 1, 1, 0, 0, 0, 1};
  const int64_t k = static_cast<int64_t>(x.size());
  // Weight rows that pick out one element each: y = x's sign times +-1, summed; so one weight row per element.
  for (int64_t i = 0; i < k; ++i) {
    SCOPED_TRACE("x = " + std::to_string(x[i]));
    const Outcome run = RunLinear({.input = Make("sign"), .weight = Make("sign")}, Floats({1, 1}, {x[i]}),
                                  Floats({1, 1}, {-0.0f}), Floats({1, 1}, {3}));
    EXPECT_EQ(ValuesOf(run.y), std::vector<float>{sign[i]});  // sign(-0.0) = +1
    EXPECT_EQ(ValuesOf(run.dx), std::vector<float>{3 * window[i]});
    EXPECT_EQ(ValuesOf(run.dw), std::vector<float>{3 * sign[i]});
    ASSERT_EQ(run.observations.size(), 1u);
    EXPECT_EQ(run.observations[0].count, static_cast<int64_t>(window[i]));
    EXPECT_EQ(run.observations[0].total, 1);
  }
  // The same values in one row, and as a weight, whose gradient is not masked.
  const Outcome as_input = RunLinear({.input = Make("sign"), .weight = Make("sign")}, Floats({1, k}, x),
                                     Filled({1, k}, 1), Filled({1, 1}, 1));
  EXPECT_EQ(ValuesOf(as_input.dx), window);
  const Outcome as_weight = RunLinear({.input = Make("sign"), .weight = Make("sign")}, Filled({1, k}, 1),
                                      Floats({1, k}, x), Filled({1, 1}, 1));
  EXPECT_EQ(ValuesOf(as_weight.dw), std::vector<float>(k, 1.0f));
  EXPECT_EQ(ValuesOf(as_weight.dx), sign);
}

// The packed product equals the float product of the signs.
TEST_F(LinearSteTest, BinaryProductIsTheFloatProductOfSigns) {
  TestRandom random(31);
  BITGRAD_TRACE(random);
  for (const Size& size : {Size{1, 1, 1}, Size{2, 63, 3}, Size{5, 64, 65}, Size{33, 1000, 17}, Size{7, 0, 3},
                           Size{0, 5, 3}, Size{3, 5, 0}}) {
    const Tensor x = random.UniformTensor({size.batch, size.in});
    const Tensor w = random.UniformTensor({size.out, size.in});
    const auto signs = [](const Tensor& t) {
      std::vector<float> values = ValuesOf(t);
      for (float& value : values) value = value >= 0 ? 1.0f : -1.0f;
      return Floats(t.shape(), values);
    };
    const Tensor r = random.UniformTensor({size.batch, size.out});
    const Outcome packed = RunLinear({.input = Make("sign"), .weight = Make("sign")}, x, w, r);
    const Outcome floats = RunLinear({}, signs(x), signs(w), r);
    ExpectSameBits(packed.y, floats.y);
    // A GPU's two products add in another order; EveryWeightQuantizer bounds their difference.
    if (TestDevice() == Device::kCpu) ExpectSameBits(packed.dw, floats.dw);
  }
}

TEST_F(LinearSteTest, WeightGradientIsNotMasked) {
  TestRandom random(32);
  BITGRAD_TRACE(random);
  const Tensor x = random.UniformTensor({4, 20});
  const Tensor far = random.UniformTensor({3, 20}, 1.5f, 2), near = random.UniformTensor({3, 20}, 0, 0.5f);
  const Tensor r = random.UniformTensor({4, 3});
  for (const char* weight : {"sign", "k_bit(1)"}) {
    const Outcome a = RunLinear({.weight = Make(weight)}, x, far, r);
    const Outcome b = RunLinear({.weight = Make(weight)}, x, near, r);
    ExpectSameBits(a.dw, b.dw);
  }
}

// ---- Scales of outputs --------------------------------------------------------------------------------

// A learned scale of each output is what a product of signs is multiplied with, and so are its gradients.
TEST_F(LinearSteTest, ScalesOfOutputs) {
  for (const char* input : {"sign", "k_bit(3)", "identity"}) {
    for (const char* granularity : {"", ", per_output"}) {
      TestRandom random(40);
      SCOPED_TRACE(absl::StrCat(input, granularity, ", ", random.ToString()));
      const int64_t m = 6, k = 70, n = 5, scales = *granularity == 0 ? 1 : n;
      ExecContext context(
          {.device = TestDevice(), .threads = 1, .seed = kSeed, .backward = BackwardPrecision::kFloat32});
      const Tensor x = random.UniformTensor({m, k}), w = random.UniformTensor({n, k}), r = random.UniformTensor({m, n});
      const Tensor alpha = random.UniformTensor({scales}, 0.5f, 1.5f);
      std::vector<float> repeated(n);
      for (int64_t j = 0; j < n; ++j) repeated[j] = alpha.data<float>()[scales == 1 ? 0 : j];
      struct Result {
        Tensor y, dx, dw, dalpha;
      };
      const auto host = [&](const Tensor& tensor) { return ToHost(context, tensor).Clone(); };
      Result in_product, outside;
      for (const bool inside : {true, false}) {
        Parameter weight = MakeParameter("w", ToDevice(context, w));
        Parameter scale = MakeParameter("scale", ToDevice(context, inside ? alpha.Alias() : Floats({n}, repeated)));
        Tape tape(context);
        const Var vx = tape.Differentiable(ToDevice(context, x));
        const Quantizer sign = Make(inside ? absl::StrCat("sign(scale=learned", granularity, ")") : "sign");
        Var y = Linear(Quantize(vx, Make(input)),
                       Quantize(tape.Use(weight), sign.In(QuantizerRole::kWeight), {.scale = &scale}));
        if (!inside) y = Mul(y, tape.Use(scale));
        ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(ToDevice(context, r))))).ok()) << tape.status();
        Result& result = inside ? in_product : outside;
        result = {host(**tape.Value(y)), host(**tape.Gradient(vx)), host(weight.gradient), host(scale.gradient)};
      }
      // Where the input's codes have a scale of their own, the two orders of multiplication round apart.
      const double bound = 16 * kRounding * static_cast<double>(k) * 1.5;
      const auto near = [&](const Tensor& a, const Tensor& b) {
        ASSERT_EQ(a.shape(), b.shape());
        for (int64_t i = 0; i < a.num_elements(); ++i) EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], bound) << i;
      };
      near(in_product.y, outside.y);
      near(in_product.dx, outside.dx);
      near(in_product.dw, outside.dw);
      if (scales == n) {
        near(in_product.dalpha, outside.dalpha);
      } else {
        double sum = 0;
        for (const float d : outside.dalpha.span<float>()) sum += d;
        EXPECT_NEAR(in_product.dalpha.data<float>()[0], sum, static_cast<double>(n) * bound);
      }
      if (std::string(input) == "sign") ExpectSameBits(in_product.y, outside.y);
    }
  }
}

}  // namespace
}  // namespace bitgrad
