// The op Quantize: values, surrogate gradients and the gradients of learned numbers, of every quantizer in every role
// it can have, against tests/reference/quantizers.h.

#include "bitgrad/ops/quantize.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr uint64_t kSeed = 6;
constexpr int64_t kRows = 5, kCols = 67;

// Every form, and those whose formulas change with an argument or a scale.
std::vector<std::string> Texts() {
  std::vector<std::string> texts;
  for (const QuantizerInfo& info : AllQuantizers()) texts.emplace_back(info.name);
  for (const char* more : {"k_bit(5)",
                           "dorefa_weight(4)",
                           "lsq(4)",
                           "lsq(3, per_output)",
                           "pact(4)",
                           "max_abs(3)",
                           "max_abs(2, per_output)",
                           "bit_pruning(per_output)",
                           "swish_sign(beta=learned)",
                           "swish_sign(3, beta=learned, scale=learned, per_output)",
                           "sign(scale=learned)",
                           "sign(scale=learned, per_output)",
                           "sign(scale=mean)",
                           "sign(scale=mean, per_output)",
                           "approx_sign(scale=learned)",
                           "k_bit(2, scale=0.5)",
                           "k_bit(2, scale=learned)",
                           "ternary(scale=learned)",
                           "stochastic_sign(scale=learned)",
                           "heaviside(scale=learned)"}) {
    texts.push_back(more);
  }
  return texts;
}

// "text in role", for each role that the quantizer can have.
std::vector<Quantizer> Cases() {
  std::vector<Quantizer> cases;
  for (const std::string& text : Texts()) {
    for (const QuantizerRole role : {QuantizerRole::kActivation, QuantizerRole::kWeight, QuantizerRole::kGradient}) {
      const Quantizer quantizer = ParseQuantizer(text).value().In(role);
      if (role == QuantizerRole::kGradient && !quantizer.info().for_gradients) continue;
      if (quantizer.CheckRole().ok()) cases.push_back(quantizer);
    }
  }
  return cases;
}

const char* NameOf(QuantizerRole role) {
  return role == QuantizerRole::kActivation ? "activation" : role == QuantizerRole::kWeight ? "weight" : "gradient";
}

class QuantizeTest : public OnTestDevice<testing::TestWithParam<Quantizer>> {
 protected:
  const Quantizer& q() const { return GetParam(); }
  bool per_row() const { return q().granularity() == Granularity::kRow; }
  int64_t count() const { return per_row() ? kRows : 1; }
  Tensor OnDevice(const Tensor& host) { return ToDevice(context_, host); }
  Tensor OnHost(const absl::StatusOr<const Tensor*>& tensor) { return ToHost(context_, **tensor).Clone(); }

  // A learned number that has a value.
  Parameter Number(const char* name, float low, float high) {
    Parameter parameter = MakeParameter(name, random_.UniformTensor({count()}, low, high));
    parameter.value = OnDevice(parameter.value);
    return parameter;
  }

  // The numbers that element i sees.
  reference::Numbers NumbersAt(int64_t i) {
    const absl::Span<const float> all = x_.span<float>();
    const absl::Span<const float> seen = per_row() ? all.subspan(i / kCols * kCols, kCols) : all;
    double sum = 0, max = 0;
    for (const float v : seen) {
      sum += std::fabs(v);
      max = std::max(max, std::fabs(double{v}));
    }
    double statistic = 0;
    switch (q().statistic()) {
      case Statistic::kNone: break;
      case Statistic::kMeanAbs: statistic = sum / static_cast<double>(seen.size()); break;
      case Statistic::kMaxAbs: statistic = max; break;
      case Statistic::kMaxAbsTanh: statistic = std::tanh(max); break;
    }
    const int64_t number = per_row() ? i / kCols : 0;
    return {statistic, ToHost(context_, variable_.value).data<float>()[number],
            ToHost(context_, scale_.value).data<float>()[number]};
  }

  ExecContext context_{{.device = TestDevice(), .threads = 1, .seed = kSeed}};
  TestRandom random_{81};
  const Tensor x_ = random_.UniformTensor({kRows, kCols});
  const Tensor r_ = random_.UniformTensor({kRows, kCols});
  const bool bits_ = absl::StrContains(GetParam().ToString(), "bit_pruning");
  const bool beta_ = absl::StrContains(GetParam().ToString(), "beta=learned");
  Parameter variable_ = Number("variable", bits_ ? 1.2f : beta_ ? 2.0f : 0.3f, bits_ ? 4.8f : beta_ ? 4.0f : 0.6f);
  Parameter scale_ = Number("scale", 0.5f, 1.5f);
};

TEST_P(QuantizeTest, ValuesAndGradients) {
  BITGRAD_TRACE(random_);
  Tape tape(context_);
  const Var x = tape.Differentiable(OnDevice(x_));
  const Var y = Quantize(x, q(), {.variable = &variable_, .scale = &scale_});
  ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(OnDevice(r_))))).ok()) << tape.status();
  const Tensor value = OnHost(tape.Value(y)), gradient = OnHost(tape.Gradient(x));
  const RngStream rng{.seed = kSeed, .purpose = RngPurpose::kQuantizer, .step = 1};
  const bool differentiates_mean =
      q().scale_operand() == ScaleOperand::kStatistic && q().info().differentiates_statistic;
  const bool passes = q().args().role == QuantizerRole::kWeight && q().info().weight_pass_through;

  // What arrives at a learned number, or at the mean that is the scale: sums over the row or all.
  std::vector<double> of_variable(count()), of_scale(count()), magnitude(count());
  for (int64_t i = 0; i < kRows * kCols; ++i) {
    const double v = x_.data<float>()[i], u = Uniform(rng, i), r = r_.data<float>()[i];
    const reference::Numbers numbers = NumbersAt(i);
    reference::Numbers unscaled = numbers;
    unscaled.scale = 1;
    if (differentiates_mean) unscaled.statistic = 1;
    const int64_t number = per_row() ? i / kCols : 0;
    // A scale beside the form is a factor of the derivative, too.
    of_variable[number] +=
        r * reference::VariableSurrogate(q(), v, numbers) * (q().has_learned_scale() ? numbers.scale : 1);
    of_scale[number] += r * reference::Value(q(), v, unscaled, u) / q().args().fixed_scale;
    magnitude[number] += std::fabs(r) * 4;
  }
  int64_t compared = 0;
  for (int64_t i = 0; i < kRows * kCols; ++i) {
    SCOPED_TRACE(i);
    const double v = x_.data<float>()[i], u = Uniform(rng, i), r = r_.data<float>()[i];
    const reference::Numbers numbers = NumbersAt(i);
    const double size = std::max({1.0, std::fabs(v), numbers.statistic, numbers.scale});
    if (q().is_identity() || reference::DistanceToJump(q(), v, numbers, u) > 1e-5) {
      ++compared;
      EXPECT_NEAR(value.data<float>()[i], reference::Value(q(), v, numbers, u), 16 * kRounding * size);
    }
    double slope = passes ? 1 : reference::Surrogate(q(), v, numbers);
    if (q().scales_gradient()) slope *= reference::ScaleBesideTheForm(q(), numbers);
    if (q().info().name == "xnor") slope *= numbers.statistic;
    double expected = r * slope;
    const int64_t number = per_row() ? i / kCols : 0;
    const auto sharing = static_cast<double>(per_row() ? kCols : kRows * kCols);
    if (differentiates_mean) expected += of_scale[number] / sharing * (v >= 0 ? 1 : -1);
    const double steepness = std::max({4.0, 4.0 * q().args().parameter, 4.0 * numbers.variable, 4.0 * numbers.scale});
    EXPECT_NEAR(gradient.data<float>()[i], expected, 16 * kRounding * (std::fabs(r) + 1) * steepness);
  }
  EXPECT_GT(compared, kRows * kCols * 9 / 10);

  const auto check = [&](const Parameter& parameter, bool learned, const std::vector<double>& sums, double factor) {
    SCOPED_TRACE(parameter.name);
    ASSERT_EQ(!parameter.gradient.is_null(), learned);
    if (!learned) return;
    const Tensor host = ToHost(context_, parameter.gradient);
    for (int64_t i = 0; i < count(); ++i) {
      // An element at a jump of the quantizer may count as one on its other side.
      const double bound = 64 * kRounding * magnitude[i] + static_cast<double>(kRows * kCols - compared) * 8;
      EXPECT_NEAR(host.data<float>()[i], factor * sums[i], factor * bound) << i;
    }
  };
  const int64_t sharing = per_row() ? kCols : kRows * kCols;
  check(variable_, q().has_variable(), of_variable,
        q().has_variable() ? q().variable().gradient_factor(q().args(), sharing) : 1);
  check(scale_, q().has_learned_scale(), of_scale, 1);
}

TEST_P(QuantizeTest, EvaluationDrawsNothing) {
  if (q().info().for_gradients) return;  // for backward passes only: it has no form for evaluation
  Tape tape(context_, Mode::kEval);
  const Var x = tape.Input(OnDevice(x_));
  const QuantizeOptions numbers{.variable = &variable_, .scale = &scale_};
  const Var y = Quantize(x, q(), numbers);
  const Var deterministic = Quantize(x, q().AtEvaluation(), numbers);
  ExpectSameBits(OnHost(tape.Value(y)), OnHost(tape.Value(deterministic)));
  EXPECT_EQ(y.index() == x.index(), q().AtEvaluation().is_identity());
}

INSTANTIATE_TEST_SUITE_P(Quantizers, QuantizeTest, testing::ValuesIn(Cases()),
                         [](const testing::TestParamInfo<Quantizer>& info) {
                           std::string name = absl::StrCat(info.param.ToString(), "_", NameOf(info.param.args().role));
                           for (char& c : name) c = std::isalnum(c) ? c : '_';
                           return name;
                         });

// ---- Numbers that begin with the first batch --------------------------------------------------------

class FirstValueTest : public OnTestDevice<testing::Test> {
 protected:
  Parameter Unset(const char* name) {
    Parameter parameter = MakeParameter(name, Filled({1}, 1));
    parameter.value = ToDevice(context_, parameter.value);
    parameter.is_set = false;
    return parameter;
  }
  float ValueOf(const Parameter& parameter) { return ToHost(context_, parameter.value).data<float>()[0]; }
  Tensor Run(Mode mode, const Tensor& x, const Quantizer& quantizer, const QuantizeOptions& options) {
    Tape tape(context_, mode);
    const Var y = Quantize(tape.Input(ToDevice(context_, x)), quantizer, options);
    const auto value = tape.Value(y);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.ok() ? ToHost(context_, **value).Clone() : Tensor();
  }

  ExecContext context_{{.device = TestDevice(), .threads = 1, .seed = kSeed}};
};

TEST_F(FirstValueTest, AStepIsThatOfTheFirstTrainingBatch) {
  Parameter step = Unset("step");
  const Quantizer lsq = ParseQuantizer("lsq(2)").value();
  const Tensor first = Floats({1, 4}, {1, 2, 3, 2}), second = Floats({1, 4}, {8, 8, 8, 8});
  // 2 mean|x| / sqrt(3). An evaluation before uses such a value too, but keeps nothing.
  const float expected = 4 / std::sqrt(3.0f);
  const Tensor evaluated = Run(Mode::kEval, first, lsq, {.variable = &step});
  EXPECT_FALSE(step.is_set);
  ExpectSameBits(Run(Mode::kTrain, first, lsq, {.variable = &step}), evaluated);
  EXPECT_TRUE(step.is_set);
  EXPECT_FLOAT_EQ(ValueOf(step), expected);
  Run(Mode::kTrain, second, lsq, {.variable = &step});
  EXPECT_FLOAT_EQ(ValueOf(step), expected);
}

TEST_F(FirstValueTest, TheRangeOfActivationsIsTrackedAndEvaluationUsesIt) {
  Parameter range = Unset("range");
  range.trainable = false;
  const Quantizer max_abs = ParseQuantizer("max_abs(1)").value();
  Run(Mode::kTrain, Floats({1, 2}, {1, 2}), max_abs, {.range = &range});
  EXPECT_EQ(ValueOf(range), 2);
  // Training quantizes with the batch's own maximum.
  EXPECT_EQ(ValuesOf(Run(Mode::kTrain, Floats({1, 2}, {1, 12}), max_abs, {.range = &range})),
            (std::vector<float>{0, 12}));
  EXPECT_FLOAT_EQ(ValueOf(range), 3);  // 2 + 0.1 (12 - 2)
  EXPECT_EQ(ValuesOf(Run(Mode::kEval, Floats({1, 2}, {1, 12}), max_abs, {.range = &range})),
            (std::vector<float>{0, ValueOf(range)}));
  EXPECT_FLOAT_EQ(ValueOf(range), 3);
}

TEST_F(FirstValueTest, AMissingNumberIsAnError) {
  Tape tape(context_);
  Quantize(tape.Input(ToDevice(context_, Filled({2, 3}, 1))), ParseQuantizer("lsq(2)").value());
  EXPECT_EQ(tape.status().message(),
            "quantize: quantizer 'lsq(2)' learns its step; give it a parameter (layers make one)");
  Tape other(context_);
  Parameter wrong = MakeParameter("fc/weight/quantizer/scale", ToDevice(context_, Filled({3}, 1)));
  Quantize(other.Input(ToDevice(context_, Filled({2, 3}, 1))), ParseQuantizer("sign(scale=learned)").value(),
           {.scale = &wrong});
  EXPECT_TRUE(absl::StrContains(other.status().message(), "fc/weight/quantizer/scale")) << other.status();
}

// ---- A weight that is used several times --------------------------------------------------------------

TEST(QuantizeOnceTest, AParameterIsQuantizedOnceByEachQuantizer) {
  ExecContext context({.threads = 1, .seed = kSeed});
  Parameter w = MakeParameter("w", Filled({3, 3}, 0.1f));
  Tape tape(context);
  const Quantizer stochastic = ParseQuantizer("stochastic_sign").value().In(QuantizerRole::kWeight);
  const Quantizer sign = ParseQuantizer("sign").value().In(QuantizerRole::kWeight);
  Var x = tape.Input(Filled({2, 3}, 1));
  const Var once = Quantize(tape.Use(w), stochastic), again = Quantize(tape.Use(w), stochastic);
  EXPECT_EQ(once.index(), again.index()) << "one sample for all uses";
  EXPECT_NE(Quantize(tape.Use(w), sign).index(), once.index());
  for (int i = 0; i < 3; ++i) x = Linear(x, Quantize(tape.Use(w), sign));
  ASSERT_TRUE(tape.Backward(Sum(x)).ok()) << tape.status();
  int quantized = 0;
  for (const Tape::Node& node : tape.nodes()) quantized += node.descriptor.op == "quantize";
  EXPECT_EQ(quantized, 2);
  // dL/dW of x W W W with all signs +1: each use adds its own.
  EXPECT_EQ(ValuesOf(w.gradient), std::vector<float>(9, 2 * 9 * 3));
}

// Two layers may share a weight, each with a scale of its own.
TEST(QuantizeOnceTest, OtherLearnedNumbersOrRowsAreAnotherQuantization) {
  ExecContext context({.threads = 1, .seed = kSeed});
  Parameter w = MakeParameter("w", Filled({2, 1, 2, 3}, 0.1f));
  Parameter half = MakeParameter("half", Filled({1}, 0.5f)), two = MakeParameter("two", Filled({1}, 2));
  const Quantizer sign = ParseQuantizer("sign(scale=learned)").value().In(QuantizerRole::kWeight);
  Tape tape(context);
  const Var a = Quantize(tape.Use(w), sign, {.scale = &half}), b = Quantize(tape.Use(w), sign, {.scale = &two});
  EXPECT_EQ(ValuesOf(**tape.Value(a)), std::vector<float>(12, 0.5f));
  EXPECT_EQ(ValuesOf(**tape.Value(b)), std::vector<float>(12, 2));
  EXPECT_EQ(Quantize(tape.Use(w), sign, {.scale = &two}).index(), b.index());
  // The rows are the filters, by the rank, or the taps of all of them.
  const Var taps = Quantize(tape.Use(w), sign, {.scale = &two, .rows = QuantizedRows::kLastDimension});
  ASSERT_TRUE(tape.status().ok()) << tape.status();
  EXPECT_EQ(tape.nodes()[b.index()].coded->matrix, Shape({2, 6}));
  EXPECT_EQ(tape.nodes()[taps.index()].coded->matrix, Shape({4, 3}));
}

}  // namespace
}  // namespace bitgrad
