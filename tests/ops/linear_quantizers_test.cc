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
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/identity.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr uint64_t kSeed = 5;

Quantizer Make(const std::string& text) { return ParseQuantizer(text).value(); }

// Every quantizer of one tensor's operand that learns nothing, with the arguments at which formulas change. What is
// learned, and numbers for each output, are the business of quantize_test and of ScalesOfOutputs below.
std::vector<std::string> OperandQuantizers() {
  std::vector<std::string> result;
  for (const QuantizerInfo& info : AllQuantizers()) {
    const Quantizer quantizer = ParseQuantizer(info.name).value();
    if (quantizer.granularity() == Granularity::kTensor && !quantizer.has_variable()) {
      result.push_back(std::string(info.name));
    }
  }
  for (const char* more : {"k_bit(1)", "k_bit(8)", "dorefa_activation(1)", "dorefa_activation(8)", "dorefa_weight(3)",
                           "max_abs(2)", "ternary(0.25)", "swish_sign(2)", "sign(scale=0.5)", "k_bit(3, scale=2)"}) {
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

// The random stream of an operand in the first step: 0 for x, 1 for w, 2 for the gradient.
RngStream StreamOf(uint32_t operand) {
  return {.seed = kSeed, .purpose = RngPurpose::kQuantizer, .step = 1, .stream = operand};
}

// Whether a latent weight with this quantizer gets the gradient of the quantized weight unchanged.
bool PassesAsWeight(const std::string& name) {
  for (const char* pass :
       {"identity", "sign", "stochastic_sign", "ternary", "stochastic_ternary", "k_bit", "heaviside"}) {
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
using LinearGradientQuantizerTest = OnTestDevice<testing::Test>;

// The library's result for dy = r.
struct Outcome {
  Tensor y, dx, dw;
  std::vector<CounterValue> observations;
};

Outcome RunLinear(const ProductQuantizers& quantizers, const Tensor& x, const Tensor& w, const Tensor& r) {
  ExecContext context({.device = TestDevice(), .threads = 1, .seed = kSeed, .backward = BackwardPrecision::kFloat32});
  Tape tape(context);
  const Var vx = tape.Differentiable(ToDevice(context, x)), vw = tape.Differentiable(ToDevice(context, w));
  const Var y = QuantizedLinear(vx, vw, quantizers);
  const absl::Status status = tape.Backward(Sum(Mul(y, tape.Input(ToDevice(context, r)))));
  EXPECT_TRUE(status.ok()) << status;
  if (!status.ok()) return {};
  const auto on_host = [&](const absl::StatusOr<const Tensor*>& tensor) { return ToHost(context, **tensor).Clone(); };
  return {on_host(tape.Value(y)), on_host(tape.Gradient(vx)), on_host(tape.Gradient(vw)), tape.counters()};
}

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
  const bool integers = input.encoding().is_integer() && weight.encoding().is_integer();

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

// ---- Gradient quantizers ------------------------------------------------------------------------------

TEST_F(LinearGradientQuantizerTest, ReplacesTheGradientByItsQuantizedValue) {
  for (const char* name : {"dorefa_gradient(2)", "dorefa_gradient(6)", "k_bit(3)", "sign"}) {
    TestRandom random(33);
    SCOPED_TRACE(name + (", " + random.ToString()));
    const int64_t m = 5, k = 37, n = 11;
    const Quantizer q = Make(name);
    const Tensor x = random.UniformTensor({m, k}), w = random.UniformTensor({n, k});
    Tensor r = random.UniformTensor({m, n});
    std::vector<double> dy;
    for (int64_t i = 0; i < m; ++i) {
      float* row = r.mutable_data<float>() + i * n;
      // The largest gradient is not among those moved away from a jump: it is the row's statistic.
      row[0] = static_cast<float>(2.5 + i);
      const double statistic = q.granularity() == Granularity::kRow ? row[0] : 0;
      for (int64_t j = 0; j < n; ++j) {
        const double u = Uniform(StreamOf(2), i * n + j);
        while (j > 0 && reference::DistanceToJump(q, row[j], statistic, u) < 1e-4) row[j] *= 0.98f;
        dy.push_back(reference::Value(q, row[j], statistic, u));
      }
    }
    const ProductQuantizers quantizers{.weight = Make("sign"), .gradient = q};
    const Outcome run = RunLinear(quantizers, x, w, r);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t l = 0; l < k; ++l) {
        double sum = 0, magnitude = 0;
        for (int64_t j = 0; j < n; ++j) {
          sum += dy[i * n + j] * (w.data<float>()[j * k + l] >= 0 ? 1 : -1);
          magnitude += std::fabs(dy[i * n + j]);
        }
        ASSERT_NEAR(run.dx.data<float>()[i * k + l], sum, (n + 8) * kRounding * magnitude + 1e-9);
      }
    }
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) {
        double sum = 0, magnitude = 0;
        for (int64_t i = 0; i < m; ++i) {
          const double term = dy[i * n + j] * x.data<float>()[i * k + l];
          sum += term;
          magnitude += std::fabs(term);
        }
        // The quantizer's levels come from a subtraction: their error is relative to the row's maximum.
        ASSERT_NEAR(run.dw.data<float>()[j * k + l], sum, (m + 8) * kRounding * (magnitude + 2.0 * 7 * m));
      }
    }
    const Outcome again = RunLinear(quantizers, x, w, r);
    ExpectSameBits(again.dx, run.dx);
    ExpectSameBits(again.dw, run.dw);
    ExpectSameBits(again.y, RunLinear({.weight = Make("sign")}, x, w, r).y);
  }
}

// Each product rounds its left operand itself, row by row: a row is an example for dx, an output for dw.
TEST_F(LinearGradientQuantizerTest, Int8ProductsRoundTheirRows) {
  for (const char* name : {"stochastic_round(2)", "stochastic_round(8)"}) {
    TestRandom random(35);
    SCOPED_TRACE(name + (", " + random.ToString()));
    const int64_t m = 7, k = 70, n = 11;
    const Quantizer q = Make(name);
    const Tensor x = random.UniformTensor({m, k}, -1.5f, 1.5f), w = random.UniformTensor({n, k});
    const Tensor r = random.UniformTensor({m, n});
    const float* dy = r.data<float>();
    const auto sign = [](const Tensor& t, int64_t i) { return t.data<float>()[i] >= 0 ? 1 : -1; };
    // value(i, j) of `rows` rows of `cols` gradients, gradient(i, j) = dy[i * row_step + j * col_step].
    const auto quantized = [&](int64_t rows, int64_t cols, int64_t row_step, int64_t col_step, uint32_t stream) {
      std::vector<double> values;
      for (int64_t i = 0; i < rows; ++i) {
        double statistic = 0;
        for (int64_t j = 0; j < cols; ++j) {
          statistic = std::max(statistic, std::fabs(double{dy[i * row_step + j * col_step]}));
        }
        for (int64_t j = 0; j < cols; ++j) {
          const double g = dy[i * row_step + j * col_step], u = Uniform(StreamOf(stream), i * cols + j);
          EXPECT_GT(reference::DistanceToJump(q, g, statistic, u), 1e-7);
          values.push_back(reference::Value(q, g, statistic, u));
        }
      }
      return values;
    };
    const std::vector<double> for_dx = quantized(m, n, n, 1, 2), for_dw = quantized(n, m, 1, n, 3);
    const Outcome run = RunLinear({.input = Make("sign"), .weight = Make("sign"), .gradient = q}, x, w, r);
    for (int64_t l = 0; l < k; ++l) {
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j) sum += for_dx[i * n + j] * sign(w, j * k + l);
        const bool inside = std::fabs(x.data<float>()[i * k + l]) <= 1;
        ASSERT_NEAR(run.dx.data<float>()[i * k + l], inside ? sum : 0, 4 * kRounding * 2 * n);
      }
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t i = 0; i < m; ++i) sum += for_dw[j * m + i] * sign(x, i * k + l);
        ASSERT_NEAR(run.dw.data<float>()[j * k + l], sum, 4 * kRounding * 2 * m);
      }
    }
    // A product with an operand that is not binary takes the gradient unchanged.
    const Outcome mixed = RunLinear({.weight = Make("sign"), .gradient = q}, x, w, r);
    ExpectSameBits(mixed.dw, RunLinear({.weight = Make("sign")}, x, w, r).dw);
  }
}

// ---- Batch norm in front ----------------------------------------------------------------------------

// A binary layer takes the signs from batch norm's input, without its output. That changes no bit of any result.
TEST(LinearAfterBatchNormTest, SameBitsWithAndWithoutTheValue) {
  for (const char* quantizer : {"sign", "stochastic_sign", "approx_sign", "k_bit(2)"}) {
    TestRandom random(37);
    SCOPED_TRACE(quantizer + (", " + random.ToString()));
    const Tensor x = random.UniformTensor({9, 70}, -3, 3), r = random.UniformTensor({9, 5});
    std::vector<Tensor> results[2];
    for (const bool read : {false, true}) {
      ExecContext context({.threads = 1, .seed = kSeed});
      TestRandom values(38);
      Parameter w = MakeParameter("w", values.UniformTensor({5, 70}));
      Parameter gamma = MakeParameter("gamma", values.UniformTensor({70})),
                beta = MakeParameter("beta", values.UniformTensor({70}));
      Parameter mean = MakeParameter("mean", Filled({70}, 0)), variance = MakeParameter("variance", Filled({70}, 1));
      Tape tape(context);
      const Var input = tape.Differentiable(x);
      const Var h = ApplyBatchNorm(input, tape.Use(gamma), tape.Use(beta), mean, variance);
      const int64_t before = static_cast<int64_t>(context.allocator().live_bytes());
      if (read) {
        ASSERT_TRUE(tape.Value(h).ok());
      }
      EXPECT_EQ(static_cast<int64_t>(context.allocator().live_bytes()) > before, read);
      const Var y = QuantizedLinear(h, tape.Use(w), {.input = Make(quantizer), .weight = Make("sign")});
      ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(r)))).ok()) << tape.status();
      ASSERT_EQ(tape.counters().size(), quantizer == std::string("approx_sign") ? 0u : 1u);
      results[read].push_back((*tape.Value(y))->Clone());
      results[read].push_back((*tape.Gradient(input))->Clone());
      for (Parameter* p : {&w, &gamma, &beta}) results[read].push_back(p->gradient.Clone());
    }
    for (size_t i = 0; i < results[0].size(); ++i) ExpectSameBits(results[0][i], results[1][i]);
  }
}

TEST(LinearAfterBatchNormTest, AValueReadLateIsThatOfTheForwardPass) {
  TestRandom random(39);
  BITGRAD_TRACE(random);
  ExecContext context({.threads = 1, .seed = kSeed});
  Parameter gamma = MakeParameter("gamma", Filled({8}, 1)), beta = MakeParameter("beta", Filled({8}, 0));
  Parameter mean = MakeParameter("mean", Filled({8}, 0)), variance = MakeParameter("variance", Filled({8}, 1));
  const Tensor x = random.UniformTensor({5, 8});
  std::vector<Tensor> values;
  for (const bool late : {false, true}) {
    Tape tape(context);
    const Var y = ApplyBatchNorm(tape.Input(x), tape.Use(gamma), tape.Use(beta), mean, variance);
    if (late) {
      // Changes the parameter after Backward(), as an optimizer does.
      for (float& v : gamma.value.mutable_span<float>()) v = 3;
    }
    values.push_back((*tape.Value(y))->Clone());
  }
  ExpectSameBits(values[0], values[1]);
}

// ---- Signs that travel with the weight ---------------------------------------------------------------

TEST(LinearSignsTest, AWeightKeepsItsBitsUntilItIsWritten) {
  TestRandom random(36);
  BITGRAD_TRACE(random);
  ExecContext context({.threads = 1, .seed = kSeed});
  const Tensor x = random.UniformTensor({4, 70});
  Parameter w = MakeParameter("w", random.UniformTensor({5, 70}));
  const auto run = [&](Mode mode) {
    Tape tape(context, mode);
    const Var y = QuantizedLinear(tape.Input(x), tape.Use(w), {.input = Make("sign"), .weight = Make("sign")});
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    return (*tape.Value(y))->Clone();
  };
  const Tensor evaluated = run(Mode::kEval);
  EXPECT_EQ(w.signs(), nullptr) << "an evaluation leaves no traces";
  const Tensor first = run(Mode::kTrain);
  ASSERT_NE(w.signs(), nullptr);
  const auto bits = w.signs();
  ExpectSameBits(run(Mode::kTrain), first);
  ExpectSameBits(evaluated, first);
  EXPECT_EQ(w.signs(), bits);
  // Inverts all signs, so that a stale bit would be noticed: in place, then by another value in place of the old one.
  const auto expect_product = [&](float factor) {
    EXPECT_EQ(w.signs(), nullptr);
    const Tensor y = run(Mode::kTrain);
    for (int64_t i = 0; i < y.num_elements(); ++i) ASSERT_EQ(y.data<float>()[i], factor * first.data<float>()[i]);
    EXPECT_NE(w.signs(), nullptr);
  };
  for (float& v : w.value.mutable_span<float>()) v = -v;
  expect_product(-1);
  Tensor other = w.value.Clone();
  for (float& v : other.mutable_span<float>()) v = -v;
  w.value = std::move(other);
  expect_product(1);
}

// ---- Stochastic quantizers ----------------------------------------------------------------------------

Tensor Identity(int64_t n) {
  Tensor identity = Tensor::Zeros({n, n});
  for (int64_t i = 0; i < n; ++i) identity.mutable_data<float>()[i * n + i] = 1;
  return identity;
}

TEST(LinearStochasticTest, OneSampleOfTheWeightsForForwardAndBackward) {
  for (const char* name : {"stochastic_sign", "stochastic_ternary"}) {
    TestRandom random(34);
    SCOPED_TRACE(name + (", " + random.ToString()));
    const int64_t k = 24;
    ExecContext context({.threads = 1, .seed = kSeed});
    const Tensor w = random.UniformTensor({k, k}, -1, 1);
    const Tensor identity = Identity(k);
    std::vector<std::vector<float>> samples;
    for (int step = 0; step < 3; ++step) {
      // y = I w_b^T shows the sample; dy = I in dx = dy w_b shows it again.
      Tape tape(context);
      const Var x = tape.Differentiable(identity);
      const Var y = QuantizedLinear(x, tape.Input(w), {.weight = Make(name)});
      const std::vector<float> forward = ValuesOf(**tape.Value(y));
      ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(identity)))).ok());
      const std::vector<float> backward = ValuesOf(**tape.Gradient(x));
      for (int64_t i = 0; i < k; ++i) {
        for (int64_t j = 0; j < k; ++j) ASSERT_EQ(forward[j * k + i], backward[i * k + j]);
      }
      samples.push_back(backward);
    }
    EXPECT_NE(samples[0], samples[1]);
    EXPECT_NE(samples[1], samples[2]);
    // The same step with the same seed draws the same numbers.
    context.set_step(0);
    Tape tape(context);
    const Var y = QuantizedLinear(tape.Input(identity), tape.Input(w), {.weight = Make(name)});
    const Tensor& value = **tape.Value(y);
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < k; ++j) {
        ASSERT_EQ(value.data<float>()[j * k + i], samples[0][i * k + j]);
      }
    }
  }
}

TEST(LinearStochasticTest, OperandsAndLayersDrawApart) {
  ExecContext context({.threads = 1, .seed = kSeed});
  const int64_t k = 64;
  const Tensor zeros = Filled({k, k}, 0);
  const Tensor identity = Identity(k);
  Tape tape(context);
  const Var first = QuantizedLinear(tape.Input(identity), tape.Input(zeros), {.weight = Make("stochastic_sign")});
  const Var second = QuantizedLinear(tape.Input(identity), tape.Input(zeros), {.weight = Make("stochastic_sign")});
  const Var input = QuantizedLinear(tape.Input(zeros), tape.Input(identity), {.input = Make("stochastic_sign")});
  const std::vector<float> a = ValuesOf(**tape.Value(first)), b = ValuesOf(**tape.Value(second)),
                           c = ValuesOf(**tape.Value(input));
  const auto agreements = [&](const std::vector<float>& p, const std::vector<float>& q, bool transposed) {
    int count = 0;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < k; ++j) count += p[i * k + j] == q[transposed ? j * k + i : i * k + j];
    }
    return count;
  };
  // Fair coins: 2048 of 4096 agree, with a standard deviation of 32.
  EXPECT_NEAR(agreements(a, b, false), 2048, 5 * 32);
  EXPECT_NEAR(agreements(a, c, true), 2048, 5 * 32);
  EXPECT_NEAR(agreements(b, c, true), 2048, 5 * 32);
}

TEST(LinearStochasticTest, EvaluationUsesRealWeightsAndDeterministicActivations) {
  TestRandom random(35);
  BITGRAD_TRACE(random);
  const Tensor x = random.UniformTensor({6, 33}), w = random.UniformTensor({4, 33});
  const auto evaluate = [&](const ProductQuantizers& quantizers) {
    ExecContext context({.threads = 1, .seed = kSeed});
    Tape tape(context, Mode::kEval);
    const Var y = QuantizedLinear(tape.Input(x), tape.Input(w), quantizers);
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    return (*tape.Value(y))->Clone();
  };
  const Tensor plain = evaluate({});
  ExpectSameBits(evaluate({.weight = Make("stochastic_sign")}), plain);
  ExpectSameBits(evaluate({.weight = Make("stochastic_ternary")}), plain);
  const Tensor deterministic = evaluate({.input = Make("sign"), .weight = Make("sign")});
  ExpectSameBits(evaluate({.input = Make("stochastic_sign"), .weight = Make("sign")}), deterministic);
  ExpectSameBits(evaluate({.input = Make("stochastic_ternary"), .weight = Make("sign")}),
                 evaluate({.input = Make("ternary"), .weight = Make("sign")}));
  // Deterministic quantizers are what they are in training.
  for (const char* name : {"sign", "k_bit(2)", "dorefa_weight(1)", "ternary"}) {
    const ProductQuantizers quantizers{.input = Make("k_bit(8)"), .weight = Make(name)};
    ExpectSameBits(evaluate(quantizers), RunLinear(quantizers, x, w, Filled({6, 4}, 1)).y);
  }
}

TEST(LinearStochasticTest, SamplesHaveTheMeanOfTheirWeights) {
  // The input picks weights out: y = w_b summed over steps; E[w_b] = clip(w, -1, 1).
  const std::vector<float> w = {-2, -1, -0.75f, -0.25f, 0, 0.5f, 1, 3};
  const int64_t k = static_cast<int64_t>(w.size());
  constexpr int kSteps = 2000;
  for (const char* name : {"stochastic_sign", "stochastic_ternary"}) {
    SCOPED_TRACE(name);
    ExecContext context({.threads = 1, .seed = kSeed});
    const Tensor identity = Identity(k), weights = Floats({1, k}, w);
    std::vector<double> mean(k, 0);
    for (int step = 0; step < kSteps; ++step) {
      Tape tape(context);
      const Var y = QuantizedLinear(tape.Input(identity), tape.Input(weights), {.weight = Make(name)});
      for (int64_t i = 0; i < k; ++i) mean[i] += (*tape.Value(y))->data<float>()[i] / double{kSteps};
    }
    for (int64_t i = 0; i < k; ++i) {
      EXPECT_NEAR(mean[i], std::clamp(w[i], -1.0f, 1.0f), 4 / std::sqrt(double{kSteps})) << w[i];
    }
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

// ---- Memory -------------------------------------------------------------------------------------------

// What a training step holds for its backward pass: bits, not floats.
TEST(LinearMemoryTest, BinaryLayerKeepsBits) {
  const int64_t m = 256, k = 2048, n = 16;
  const Tensor x = Filled({m, k}, 0.5f);
  Parameter bias = MakeParameter("bias", Filled({k}, 0.25f));
  const auto held = [&](const char* input, const char* w) {
    ExecContext context({.threads = 1});
    Parameter weight = MakeParameter("weight", Filled({n, k}, 1));
    Tape tape(context);
    Var y;
    {
      // h is a value of the step, wants a gradient, and is not needed by Add's own backward.
      const Var h = Add(tape.Input(x), tape.Use(bias));
      y = QuantizedLinear(h, tape.Use(weight), {.input = Make(input), .weight = Make(w)});
    }
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    return static_cast<int64_t>(context.allocator().live_bytes()) - m * n * 4;  // without y
  };
  const int64_t copy_of_x = m * k * 4;
  EXPECT_GE(held("identity", "identity"), copy_of_x);
  EXPECT_LE(held("sign", "sign") * 10, copy_of_x);
  // Bits of x, window of x; bits of w where they are this step's alone: otherwise they stay with the weight.
  EXPECT_EQ(held("sign", "sign"), 2 * m * k / 8);
  EXPECT_EQ(held("stochastic_sign", "stochastic_sign"), 2 * m * k / 8 + n * k / 8);
}

}  // namespace
}  // namespace bitgrad
