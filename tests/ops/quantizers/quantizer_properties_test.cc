// The properties that every quantizer of the list must have, and the promises of single ones.

#include <cctype>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "bitgrad/core/rng.h"
#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "gtest/gtest.h"

namespace bitgrad {

void PrintTo(const Quantizer& quantizer, std::ostream* out) { *out << quantizer.ToString(); }

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();

float Code(const Quantizer& q, float x, float statistic = 1.0f, float uniform = 0.5f) {
  float code = 0;
  DispatchQuantizer(q.info(), [&]<typename Q>() { code = Q::Code(x, q.args(), statistic, uniform); });
  return code;
}

float Value(const Quantizer& q, float x, float statistic = 1.0f, float uniform = 0.5f) {
  return Code(q, x, statistic, uniform) * q.scale(statistic);
}

float Surrogate(const Quantizer& q, float x, float statistic = 1.0f) {
  float surrogate = 0;
  DispatchQuantizer(q.info(), [&]<typename Q>() { surrogate = Q::Surrogate(x, q.args(), statistic); });
  return surrogate;
}

// Every quantizer with several arguments: all numbers of bits; the ends and the default of a real parameter.
std::vector<Quantizer> Quantizers() {
  std::vector<Quantizer> quantizers;
  for (const QuantizerInfo& info : AllQuantizers()) {
    switch (info.argument) {
      case QuantizerArgument::kNone: quantizers.push_back(Quantizer(&info, {})); break;
      case QuantizerArgument::kBits:
        for (int bits = static_cast<int>(info.min_argument); bits <= static_cast<int>(info.max_argument); ++bits) {
          quantizers.push_back(Quantizer(&info, {.bits = bits}));
        }
        break;
      case QuantizerArgument::kParameter:
        for (float value :
             {info.min_argument, info.default_argument, info.default_argument * 0.7f, info.max_argument}) {
          quantizers.push_back(Quantizer(&info, {.parameter = value}));
        }
        break;
    }
  }
  return quantizers;
}

// Ascending: a fine grid over [-3, 3], the neighbours of every multiple of 1/8, and far away.
std::vector<float> Inputs() {
  std::vector<float> inputs = {-kInfinity, -std::numeric_limits<float>::max(), -1e10f, -100.0f};
  for (int i = -600; i <= 600; ++i) {
    const float x = static_cast<float>(i) / 200.0f;
    if (i % 25 == 0) inputs.push_back(std::nextafter(x, -kInfinity));
    if (i == 0) inputs.push_back(-0.0f);
    inputs.push_back(x);
    if (i % 25 == 0) inputs.push_back(std::nextafter(x, kInfinity));
  }
  for (float x : {100.0f, 1e10f, std::numeric_limits<float>::max(), kInfinity}) inputs.push_back(x);
  return inputs;
}

class QuantizerTest : public testing::TestWithParam<Quantizer> {
 protected:
  const Quantizer& q() const { return GetParam(); }
  bool deterministic() const { return !q().info().stochastic; }
  bool identity() const { return q().is_identity(); }
};

TEST_P(QuantizerTest, CodesAreInTheCodebook) {
  if (identity()) GTEST_SKIP() << "no codes";
  const Encoding encoding = q().encoding();
  ASSERT_TRUE(encoding.is_integer());
  std::vector<float> inputs = Inputs();
  inputs.push_back(kNan);
  for (float statistic : {0.0f, 0.3f, 1.0f, 2.0f}) {
    for (float x : inputs) {
      for (float uniform : {0.0f, 0.3f, 0x1.fffffep-1f}) {
        const float code = Code(q(), x, statistic, uniform);
        SCOPED_TRACE(testing::Message() << "q(" << x << ") has code " << code);
        ASSERT_EQ(code, std::rint(code));
        ASSERT_LE(std::fabs(code), static_cast<float>(encoding.max_code()));
        switch (encoding.kind) {
          case EncodingKind::kBinary: ASSERT_EQ(std::fabs(code), 1.0f); break;
          case EncodingKind::kSymmetric: ASSERT_EQ(std::fabs(std::fmod(code, 2.0f)), 1.0f); break;
          case EncodingKind::kUnsigned: ASSERT_GE(code, 0.0f); break;
          case EncodingKind::kTernary:
          case EncodingKind::kSigned:
          case EncodingKind::kFloat: break;
        }
      }
    }
  }
}

TEST_P(QuantizerTest, ValuesAreTheFormula) {
  if (identity()) GTEST_SKIP() << "trivial";
  for (float statistic : {0.4f, 1.0f}) {
    for (float x : Inputs()) {
      for (float u : {0.0f, 0.3f, 0.9f}) {
        if (std::fabs(x) > 100 || reference::DistanceToJump(q(), x, statistic, u) < 1e-6) continue;
        const double expected = reference::Value(q(), x, statistic, u);
        ASSERT_NEAR(Value(q(), x, statistic, u), expected, 3e-7) << x << ", u " << u;
      }
    }
  }
}

// What QuantizeOperand relies on when it takes bits that a weight carries.
TEST_P(QuantizerTest, BinaryCodesThatDrawNothingAreSigns) {
  if (!deterministic() || q().encoding().kind != EncodingKind::kBinary) GTEST_SKIP() << "not promised";
  std::vector<float> inputs = Inputs();
  for (float x : {kNan, kTiny, -kTiny, -1e-9f}) inputs.push_back(x);
  for (float statistic : {0.0f, 0.5f, 1.0f}) {
    for (float x : inputs) ASSERT_EQ(Code(q(), x, statistic), x >= 0 ? 1.0f : -1.0f) << x;
  }
}

TEST_P(QuantizerTest, IsIdempotent) {
  if (!deterministic() || q().statistic() != Statistic::kNone) GTEST_SKIP() << "not promised";
  for (float x : Inputs()) {
    const float once = Value(q(), x);
    ASSERT_EQ(Value(q(), once), once) << "x = " << x;
  }
}

TEST_P(QuantizerTest, IsMonotone) {
  if (!deterministic()) GTEST_SKIP() << "not promised";
  for (float statistic : {0.4f, 1.0f}) {
    float before = -kInfinity;
    for (float x : Inputs()) {
      const float value = Value(q(), x, statistic);
      ASSERT_GE(value, before) << "x = " << x;
      before = value;
    }
  }
}

TEST_P(QuantizerTest, ZeroHasNoSign) {
  EXPECT_EQ(Code(q(), 0.0f), Code(q(), -0.0f));
  EXPECT_EQ(Surrogate(q(), 0.0f), Surrogate(q(), -0.0f));
  // Code(0) is +1 for signs (ties are up) and for the symmetric grids, 0 where there is one.
  if (!deterministic() || identity()) return;
  switch (q().encoding().kind) {
    case EncodingKind::kBinary:
    case EncodingKind::kSymmetric: EXPECT_EQ(Code(q(), 0.0f), 1.0f); break;
    case EncodingKind::kTernary:
    case EncodingKind::kUnsigned:
    case EncodingKind::kSigned: EXPECT_EQ(Code(q(), 0.0f), 0.0f); break;
    case EncodingKind::kFloat: break;
  }
}

TEST_P(QuantizerTest, NanIsTheLowestCodeOrZero) {
  if (identity()) {
    EXPECT_TRUE(std::isnan(Code(q(), kNan)));
    return;
  }
  const float code = Code(q(), kNan);
  const Encoding encoding = q().encoding();
  const bool has_zero = encoding.kind != EncodingKind::kBinary && encoding.kind != EncodingKind::kSymmetric;
  EXPECT_EQ(code, has_zero ? 0.0f : -static_cast<float>(encoding.max_code()));
  // A window does not let NaN through.
  if (q().info().surrogate_is_window) {
    EXPECT_EQ(Surrogate(q(), kNan), 0.0f);
  }
}

TEST_P(QuantizerTest, EndsSaturate) {
  if (identity()) GTEST_SKIP() << "unbounded";
  const float max = static_cast<float>(q().encoding().max_code());
  const float low = q().encoding().kind == EncodingKind::kUnsigned ? 0.0f : -max;
  for (float x : {1.0f, std::nextafter(1.0f, 2.0f), 10.0f, kInfinity}) {
    for (float u : {0.0f, 0x1.fffffep-1f}) {
      // The statistics' maximum of |tanh| is tanh(1) then: 1 is the largest element.
      const float statistic = q().statistic() == Statistic::kMaxAbsTanh ? std::tanh(1.0f) : 1.0f;
      if (std::isinf(x) && q().statistic() == Statistic::kRowMaxAbs) continue;  // The maximum would be infinite too.
      EXPECT_EQ(Code(q(), x, statistic, u), max) << x;
      EXPECT_EQ(Code(q(), -x, statistic, u), low) << -x;
    }
  }
}

TEST_P(QuantizerTest, SurrogateIsTheFormula) {
  for (float statistic : {0.0f, 0.5f, 1.0f}) {
    for (float x : Inputs()) {
      if (std::isinf(x)) continue;
      const double expected = reference::Surrogate(q(), x, statistic);
      const double peak = reference::Surrogate(q(), 0, statistic);
      // exp and tanh see an argument with relative error eps, and lose |argument| eps.
      const double beta = q().info().argument == QuantizerArgument::kParameter ? q().args().parameter : 1.0;
      const double argument = std::fabs(beta * x);
      ASSERT_NEAR(Surrogate(q(), x, statistic), expected,
                  0x1p-24 * (16 * std::fabs(peak) + 8 * argument * std::fabs(expected)))
          << "x = " << x;
    }
  }
}

TEST_P(QuantizerTest, WindowFlagSaysWhatTheSurrogateIs) {
  bool is_window = true;
  for (float x : Inputs()) {
    is_window &= Surrogate(q(), x) == (std::fabs(x) <= 1.0f ? 1.0f : 0.0f);
  }
  EXPECT_EQ(q().info().surrogate_is_window, is_window);
}

TEST_P(QuantizerTest, FlagsOfStochasticQuantizers) {
  bool reads_uniform = false;
  for (float x : Inputs())
    reads_uniform |= Code(q(), x, 1.0f, 0.0f) != Code(q(), x, 1.0f, 0x1.fffffep-1f) && !std::isnan(x);
  EXPECT_EQ(q().info().stochastic, reads_uniform);
  for (QuantizerRole role : {QuantizerRole::kActivation, QuantizerRole::kWeight, QuantizerRole::kGradient}) {
    const Quantizer evaluated = q().AtEvaluation(role);
    if (deterministic()) {
      EXPECT_EQ(evaluated, q());
    }
    EXPECT_EQ(evaluated.AtEvaluation(role), evaluated);
  }
}

TEST_P(QuantizerTest, ParseReadsWhatToStringWrites) {
  const absl::StatusOr<Quantizer> parsed = ParseQuantizer(q().ToString());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->ToString(), q().ToString());
  EXPECT_EQ(&parsed->info(), &q().info());
  if (q().info().argument != QuantizerArgument::kNone) {
    EXPECT_EQ(*parsed, q());
  }
}

INSTANTIATE_TEST_SUITE_P(All, QuantizerTest, testing::ValuesIn(Quantizers()),
                         [](const testing::TestParamInfo<Quantizer>& info) {
                           std::string name = info.param.ToString();
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name + "_" + std::to_string(info.index);
                         });

// ---- Single quantizers.

TEST(SignTest, TiesAndTinies) {
  for (const Quantizer& q : {Sign(), KBit(1), ApproxSign(), SwishSign(), DorefaWeight(1)}) {
    SCOPED_TRACE(q.ToString());
    EXPECT_EQ(Code(q, 0.0f), 1.0f);
    EXPECT_EQ(Code(q, -0.0f), 1.0f);
    EXPECT_EQ(Code(q, kTiny), 1.0f);
    EXPECT_EQ(Code(q, -kTiny), -1.0f);
    EXPECT_EQ(Code(q, -1e-30f), -1.0f);
    EXPECT_EQ(Code(q, kNan), -1.0f);
  }
}

TEST(KBitTest, EightBitsKeepPixels) {
  for (int pixel = 0; pixel < 256; ++pixel) {
    const float code = static_cast<float>(2 * pixel - 255);
    EXPECT_EQ(Code(KBit(8), code / 255.0f), code) << "pixel " << pixel;
  }
}

TEST(SwishSignTest, PublishedValues) {
  EXPECT_EQ(Surrogate(SwishSign(5), 0.0f), 5.0f);
  EXPECT_NEAR(Surrogate(SwishSign(5), 0.1f), 4.41229, 5e-6);
  EXPECT_NEAR(Surrogate(SwishSign(5), 0.3f), 1.561976, 5e-7 * 5);
  EXPECT_NEAR(Surrogate(SwishSign(5), 1.0f), -0.194992, 5e-7 * 5);
}

TEST(SwishSignTest, IsTheDerivativeOfSignSwish) {
  for (double beta : {1.0, 5.0, 20.0}) {
    for (double x = -3; x <= 3; x += 0.01) {
      // Central differences: the error is h^2 beta^3 (times a third derivative of a few units), plus cancellation.
      const double h = 1e-5;
      const double slope = (reference::SignSwish(beta, x + h) - reference::SignSwish(beta, x - h)) / (2 * h);
      EXPECT_NEAR(Surrogate(SwishSign(static_cast<float>(beta)), static_cast<float>(x)), slope,
                  1e-10 * 10 * beta * beta * beta + 1e-5 * beta)
          << "beta " << beta << ", x " << x;
    }
  }
}

TEST(ApproxSignTest, SurrogateIsContinuousAtOne) {
  EXPECT_EQ(Surrogate(ApproxSign(), 1.0f), 0.0f);
  EXPECT_EQ(Surrogate(ApproxSign(), -1.0f), 0.0f);
  EXPECT_EQ(Surrogate(ApproxSign(), 0.0f), 2.0f);
}

TEST(TernaryTest, ThresholdIsExclusive) {
  EXPECT_EQ(Code(Ternary(0.5f), 0.5f), 0.0f);
  EXPECT_EQ(Code(Ternary(0.5f), -0.5f), 0.0f);
  EXPECT_EQ(Code(Ternary(0.5f), std::nextafter(0.5f, 1.0f)), 1.0f);
  EXPECT_EQ(Code(Ternary(0.5f), std::nextafter(-0.5f, -1.0f)), -1.0f);
}

// Means over many random numbers, within 4 standard deviations of the mean.
struct Moments {
  double mean;
  double tolerance;
};

Moments Sample(const Quantizer& q, float x, float statistic) {
  constexpr int kCount = 40000;
  const RngStream rng = {.seed = 17, .purpose = RngPurpose::kQuantizer};
  double sum = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = Value(q, x, statistic, Uniform(rng, i));
    sum += value;
    squares += value * value;
  }
  const double mean = sum / kCount;
  const double variance = std::max(0.0, squares / kCount - mean * mean);
  return {mean, 4 * std::sqrt(variance / kCount) + 1e-6};
}

TEST(StochasticQuantizersTest, AreUnbiasedInsideTheirRange) {
  for (float x : {-2.0f, -1.0f, -0.73f, -0.2f, 0.0f, 0.1f, 0.5f, 0.99f, 1.0f, 3.0f}) {
    for (const Quantizer& q : {StochasticSign(), StochasticTernary()}) {
      const Moments moments = Sample(q, x, 1.0f);
      EXPECT_NEAR(moments.mean, std::fmin(std::fmax(x, -1.0f), 1.0f), moments.tolerance) << q.ToString() << " at " << x;
    }
  }
}

TEST(StochasticQuantizersTest, GradientQuantizersAreUnbiased) {
  for (const Quantizer& q : {DorefaGradient(1), DorefaGradient(2), DorefaGradient(4), DorefaGradient(8),
                             StochasticRound(2), StochasticRound(4), StochasticRound(8)}) {
    for (float max : {0.001f, 1.0f, 300.0f}) {
      for (float fraction : {-1.0f, -0.61f, -0.3f, 0.0f, 0.123f, 0.7f, 1.0f}) {
        const Moments moments = Sample(q, fraction * max, max);
        EXPECT_NEAR(moments.mean, fraction * max, moments.tolerance * std::max(1.0f, max))
            << q.ToString() << ", max " << max << ", at " << fraction;
      }
    }
  }
}

// Twice the largest float is infinity.
TEST(StochasticQuantizersTest, GradientsOfAnySize) {
  for (const float max : {1.8e38f, 3.4e38f}) {
    for (const Quantizer& q : {DorefaGradient(2), DorefaGradient(6), StochasticRound(8)}) {
      EXPECT_NEAR(Value(q, max, max, 0.5f) / max, 1, 1e-6) << q.ToString();
      EXPECT_NEAR(Value(q, -max, max, 0.5f) / max, -1, 1e-6) << q.ToString();
    }
  }
}

TEST(StochasticQuantizersTest, AZeroRowOfGradientsIsZero) {
  EXPECT_EQ(Value(DorefaGradient(4), 0.0f, 0.0f), 0.0f);
  EXPECT_EQ(Value(StochasticRound(4), 0.0f, 0.0f), 0.0f);
}

TEST(StochasticQuantizersTest, StochasticRoundKeepsZeros) {
  for (float uniform : {0.0f, 0.5f, 0x1.fffffep-1f}) EXPECT_EQ(Code(StochasticRound(8), 0.0f, 3.0f, uniform), 0.0f);
}

TEST(StochasticQuantizersTest, AreEvaluatedAsDocumented) {
  EXPECT_EQ(StochasticSign().AtEvaluation(QuantizerRole::kActivation), Sign());
  EXPECT_TRUE(StochasticSign().AtEvaluation(QuantizerRole::kWeight).is_identity());
  EXPECT_EQ(StochasticTernary().AtEvaluation(QuantizerRole::kActivation), Ternary());
  EXPECT_TRUE(StochasticTernary().AtEvaluation(QuantizerRole::kWeight).is_identity());
}

// ---- Text.

TEST(ParseQuantizerTest, DefaultsAndSpaces) {
  EXPECT_EQ(*ParseQuantizer("sign"), Sign());
  EXPECT_EQ(*ParseQuantizer("  k_bit(3) "), KBit(3));
  EXPECT_EQ(*ParseQuantizer("k_bit"), KBit(2));
  EXPECT_EQ(*ParseQuantizer("swish_sign"), SwishSign(5));
  EXPECT_EQ(*ParseQuantizer("ternary(0.25)"), Ternary(0.25f));
  EXPECT_TRUE(ParseQuantizer("identity")->is_identity());
  EXPECT_TRUE(Quantizer().is_identity());
}

std::string Error(absl::string_view text) {
  const absl::StatusOr<Quantizer> quantizer = ParseQuantizer(text);
  EXPECT_FALSE(quantizer.ok()) << text;
  EXPECT_EQ(quantizer.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(quantizer.status().message());
}

// A factory cannot fail: what it gives for such an argument says so itself, in the parser's words.
TEST(ParseQuantizerTest, FactoriesHaveTheSameRanges) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  std::vector<Quantizer> invalid = {StochasticRound(1)};
  for (const int bits : {-1, 0, 9, 32, 1 << 30, std::numeric_limits<int>::min()}) {
    for (const auto& factory : {KBit, DorefaActivation, DorefaWeight, DorefaGradient, StochasticRound}) {
      invalid.push_back(factory(bits));
    }
  }
  for (const float value : {-0.1f, 1.0f, nan, infinity, -infinity}) invalid.push_back(Ternary(value));
  for (const float value : {0.0f, -5.0f, 1001.0f, nan, infinity}) invalid.push_back(SwishSign(value));
  for (const Quantizer& quantizer : invalid) {
    const std::string text = quantizer.ToString();
    EXPECT_EQ(quantizer.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(quantizer.status(), ParseQuantizer(text).status()) << text;
  }
  EXPECT_EQ(KBit(9).status().message(),
            "quantizer 'k_bit(9)': the argument of 'k_bit' is a whole number of bits from 1 to 8");
  for (int bits = 1; bits <= 8; ++bits) {
    for (const auto& factory : {KBit, DorefaActivation, DorefaWeight, DorefaGradient}) {
      EXPECT_TRUE(factory(bits).status().ok()) << factory(bits).ToString();
    }
    EXPECT_EQ(StochasticRound(bits).status().ok(), bits > 1);
  }
  for (const QuantizerInfo& info : AllQuantizers()) EXPECT_TRUE(ParseQuantizer(info.name)->status().ok()) << info.name;
}

TEST(ParseQuantizerTest, ErrorsNameTheQuantizerAndTheWayOut) {
  EXPECT_EQ(Error("sgin"),
            "unknown quantizer 'sgin'; known: identity, sign, stochastic_sign, approx_sign, swish_sign, "
            "ternary, stochastic_ternary, k_bit, dorefa_activation, dorefa_weight, dorefa_gradient, "
            "stochastic_round");
  EXPECT_NE(Error("").find("unknown quantizer ''"), std::string::npos);
  EXPECT_EQ(Error("k_bit(2"), "quantizer 'k_bit(2': missing ')'; write name or name(number)");
  EXPECT_EQ(Error("sign(1)"), "quantizer 'sign(1)': 'sign' takes no argument");
  EXPECT_EQ(Error("sign()"), "quantizer 'sign()': 'sign' takes no argument");
  for (const char* text : {"k_bit(0)", "k_bit(9)", "k_bit(2.5)", "k_bit(two)", "k_bit()", "k_bit(nan)", "k_bit(-1)"}) {
    EXPECT_EQ(Error(text),
              "quantizer '" + std::string(text) + "': the argument of 'k_bit' is a whole number of bits from 1 to 8");
  }
  for (const char* text : {"swish_sign(0)", "swish_sign(inf)", "swish_sign(1001)"}) {
    EXPECT_EQ(Error(text),
              "quantizer '" + std::string(text) + "': the argument of 'swish_sign' is a number from 0.001 to 1000");
  }
}

TEST(QuantizersHelpTest, ListsEveryQuantizer) {
  const std::string help = QuantizersHelp();
  for (const QuantizerInfo& info : AllQuantizers()) {
    EXPECT_NE(help.find("  " + std::string(info.name)), std::string::npos) << info.name;
    EXPECT_NE(help.find(std::string(info.help)), std::string::npos) << info.name;
  }
}

}  // namespace
}  // namespace bitgrad
