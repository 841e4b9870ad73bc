// The properties that every quantizer of the list must have, in each role. The promises of single ones are in
// single_quantizers_test.cc, their text form in quantizer_text_test.cc, those that learn a number in
// learned_quantizers_test.cc.

#include <cctype>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/ops/quantizers/scalar_functions.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr float kTiny = std::numeric_limits<float>::denorm_min();
constexpr float kLargestUniform = 0x1.fffffep-1f;

class QuantizerTest : public testing::TestWithParam<Quantizer> {
 protected:
  const Quantizer& q() const { return GetParam(); }
  bool deterministic() const { return !q().info().stochastic; }
  // Whether there are no codes: the values are real.
  bool is_real() const { return !q().encoding().is_integer(); }
  bool identity() const { return q().info().name == "identity"; }
  bool scaled() const { return q().args().scale != ScaleOperand::kOne || q().args().fixed_scale != 1.0f; }
  float least_code() const { return static_cast<float>(q().encoding().least_code()); }
  float greatest_code() const {
    const Encoding encoding = q().encoding();
    if (encoding.is_log()) return -least_code();
    const int64_t steps = encoding.kind == EncodingKind::kTernary  ? 2
                          : encoding.kind == EncodingKind::kSigned ? 2 * encoding.max_code()
                                                                   : (int64_t{1} << encoding.bits) - 1;
    return static_cast<float>(encoding.least_code() + encoding.code_step() * steps);
  }
};

TEST_P(QuantizerTest, IsValid) { EXPECT_TRUE(q().status().ok()) << q().status(); }

TEST_P(QuantizerTest, CodesAreInTheCodebook) {
  if (is_real()) GTEST_SKIP() << "no codes";
  std::vector<float> inputs = Inputs();
  inputs.push_back(kNan);
  // Those of the logarithmic encoding are the business of LogarithmicValuesArePowers.
  const float step = q().encoding().is_affine() ? static_cast<float>(q().encoding().code_step()) : 1.0f;
  for (const Numbers& numbers : NumbersFor(q())) {
    for (float x : inputs) {
      for (float uniform : {0.0f, 0.3f, kLargestUniform}) {
        const float code = Code(q(), x, numbers, uniform);
        const float c = (code - least_code()) / step;
        ASSERT_EQ(c, std::rint(c)) << "q(" << x << ") has code " << code;
        ASSERT_GE(code, least_code()) << "q(" << x << ")";
        ASSERT_LE(code, greatest_code()) << "q(" << x << ")";
      }
    }
  }
}

// Values of the logarithmic encodings are 0 and powers of two, of as many exponents as the bits say.
TEST_P(QuantizerTest, LogarithmicValuesArePowers) {
  const EncodingKind kind = q().encoding().kind;
  if (kind != EncodingKind::kPowerOfTwo && !q().encoding().is_log()) GTEST_SKIP() << "no powers";
  for (const Numbers& numbers : NumbersFor(q())) {
    float least = kInfinity, most = 0;
    for (float x : Inputs()) {
      if (std::isinf(x)) continue;
      for (float uniform : {0.0f, 0.3f, kLargestUniform}) {
        const float size = std::fabs(Code(q(), x, numbers, uniform));
        if (!q().args().zero) {
          ASSERT_NE(size, 0) << "q(" << x << ")";
        }
        if (size == 0) continue;
        int exponent;
        ASSERT_EQ(std::frexp(size, &exponent), 0.5f) << "q(" << x << ") is " << size;
        least = std::fmin(least, size);
        most = std::fmax(most, size);
      }
    }
    if (most > 0 && std::isfinite(most)) {
      // One of the patterns is that of 0, unless there is none, and one has none.
      const double exponents = std::ldexp(1, q().encoding().bits - 1) - (q().args().zero ? 1 : 0);
      EXPECT_LE(std::log2(most) - std::log2(least) + 1, exponents);
      // Codes begin with 1, which the inputs may not reach.
      if (q().encoding().is_log()) {
        EXPECT_GE(least, 1);
      }
    }
  }
}

TEST_P(QuantizerTest, ValuesAreTheFormula) {
  if (identity()) GTEST_SKIP() << "trivial";
  const std::vector<float> uniforms = deterministic() ? std::vector<float>{0.0f} : std::vector<float>{0.0f, 0.3f, 0.9f};
  for (const Numbers& numbers : NumbersFor(q())) {
    for (float x : Inputs()) {
      for (float u : uniforms) {
        if (std::fabs(x) > 100 || reference::DistanceToJump(q(), x, numbers.exact(), u) < 1e-6 * std::fmax(1, x)) {
          continue;
        }
        const double expected = reference::Value(q(), x, numbers.exact(), u);
        ASSERT_NEAR(Value(q(), x, numbers, u), expected, 3e-7 * std::fmax(1, std::fabs(expected)))
            << x << ", u " << u << ", " << numbers;
      }
    }
  }
}

// What Quantize relies on when it takes bits that a weight carries.
TEST_P(QuantizerTest, BinaryCodesThatDrawNothingAreSigns) {
  if (!deterministic() || q().encoding().kind != EncodingKind::kBinary) GTEST_SKIP() << "not promised";
  std::vector<float> inputs = Inputs();
  for (float x : {kNan, kTiny, -kTiny, -1e-9f}) inputs.push_back(x);
  for (const Numbers& numbers : NumbersFor(q())) {
    for (float x : inputs) ASSERT_EQ(Code(q(), x, numbers), x >= 0 ? 1.0f : -1.0f) << x;
  }
}

TEST_P(QuantizerTest, IsIdempotent) {
  if (!deterministic() || q().statistic() != Statistic::kNone || scaled()) GTEST_SKIP() << "not promised";
  for (const Numbers& numbers : NumbersFor(q())) {
    for (float x : Inputs()) {
      const float once = Value(q(), x, numbers);
      ASSERT_EQ(Value(q(), once, numbers), once) << "x = " << x;
    }
  }
}

TEST_P(QuantizerTest, IsMonotone) {
  if (!deterministic()) GTEST_SKIP() << "not promised";
  for (const Numbers& numbers : NumbersFor(q())) {
    float before = -kInfinity;
    for (float x : Inputs()) {
      if (identity() && std::isinf(x)) continue;  // 0 times infinity
      const float value = Value(q(), x, numbers);
      ASSERT_GE(value, before) << "x = " << x;
      before = value;
    }
  }
}

TEST_P(QuantizerTest, ZeroHasNoSign) {
  for (const Numbers& numbers : NumbersFor(q())) {
    EXPECT_EQ(Code(q(), 0.0f, numbers), Code(q(), -0.0f, numbers));
    EXPECT_EQ(Surrogate(q(), 0.0f, numbers), Surrogate(q(), -0.0f, numbers));
    EXPECT_EQ(VariableSurrogate(q(), 0.0f, numbers), VariableSurrogate(q(), -0.0f, numbers));
    // Code(0) is +1 for signs (ties are up) and for the symmetric grids, which have no 0, and 0 where there is one.
    if (!deterministic() || is_real()) continue;
    switch (q().encoding().kind) {
      case EncodingKind::kBinary:
      case EncodingKind::kLogNonzero:
      case EncodingKind::kSymmetric: EXPECT_EQ(Code(q(), 0.0f, numbers), 1.0f); break;
      case EncodingKind::kTernary:
      case EncodingKind::kUnsigned:
      case EncodingKind::kSigned:
      case EncodingKind::kLog:
      case EncodingKind::kTwosComplement: EXPECT_EQ(Code(q(), 0.0f, numbers), 0.0f); break;
      case EncodingKind::kFloat:
      case EncodingKind::kPowerOfTwo: break;
    }
  }
}

TEST_P(QuantizerTest, NanIsTheLowestCodeOrZero) {
  const Numbers numbers = {};
  // Gradients that are not numbers have to be noticed, and so have weights and activations that stay real.
  if (identity() || q().encoding().kind == EncodingKind::kPowerOfTwo) {
    EXPECT_TRUE(std::isnan(Code(q(), kNan, numbers)));
    return;
  }
  const float code = Code(q(), kNan, numbers);
  if (is_real()) {
    EXPECT_EQ(code, Code(q(), -kInfinity, numbers));
  } else {
    EXPECT_EQ(code, least_code() < 0 && Code(q(), 0.0f, numbers) == 0.0f ? 0.0f : least_code());
  }
  // A window does not let NaN through.
  if (q().info().surrogate_is_window) {
    EXPECT_EQ(Surrogate(q(), kNan, numbers), 0.0f);
  }
}

TEST_P(QuantizerTest, EndsSaturate) {
  if (is_real()) GTEST_SKIP() << "no codes";
  for (float x : {1.0f, std::nextafter(1.0f, 2.0f), 10.0f, kInfinity}) {
    for (float u : {0.0f, kLargestUniform}) {
      Numbers numbers;
      // The statistics' maximum of |tanh| is tanh(1) then: 1 is the largest element. It is the last of the lsq's codes.
      if (q().statistic() == Statistic::kMaxAbsTanh) numbers.statistic = std::tanh(1.0f);
      if (q().info().name == "lsq") numbers.variable = 1.0f / greatest_code();
      if (std::isinf(x) && q().info().granularity == Granularity::kRow && q().info().stochastic) {
        continue;  // The maximum would be infinite too.
      }
      EXPECT_EQ(Code(q(), x, numbers, u), greatest_code()) << x;
      if (q().info().name == "lsq") numbers.variable = 1.0f / std::fmax(1.0f, -least_code());
      EXPECT_EQ(Code(q(), -x, numbers, u), least_code()) << -x;
    }
  }
}

TEST_P(QuantizerTest, SurrogateIsTheFormula) {
  for (const Numbers& numbers : NumbersFor(q())) {
    for (float x : Inputs()) {
      if (std::isinf(x)) continue;
      const double expected = reference::Surrogate(q(), x, numbers.exact());
      const double peak = reference::Surrogate(q(), 0, numbers.exact());
      // exp and tanh see an argument with relative error eps, and lose |argument| eps.
      const double beta = q().info().name == "swish_sign" ? peak : 1.0;
      const double argument = std::fabs(beta * x);
      ASSERT_NEAR(Surrogate(q(), x, numbers), expected,
                  0x1p-24 * (16 * std::fabs(peak) + 8 * argument * std::fabs(expected)))
          << "x = " << x << ", " << numbers;
    }
  }
}

TEST_P(QuantizerTest, WindowFlagSaysWhatTheSurrogateIs) {
  bool is_window = true;
  for (const Numbers& numbers : NumbersFor(q())) {
    for (float x : Inputs()) is_window &= Surrogate(q(), x, numbers) == (std::fabs(x) <= 1.0f ? 1.0f : 0.0f);
  }
  EXPECT_EQ(q().info().surrogate_is_window, is_window);
}

TEST_P(QuantizerTest, FlagsOfStochasticQuantizers) {
  bool reads_uniform = false;
  for (float x : Inputs()) {
    reads_uniform |= Code(q(), x, {}, 0.0f) != Code(q(), x, {}, kLargestUniform) && !std::isnan(x);
  }
  EXPECT_EQ(q().info().stochastic, reads_uniform);
  for (QuantizerRole role : {QuantizerRole::kActivation, QuantizerRole::kWeight, QuantizerRole::kGradient}) {
    const Quantizer evaluated = q().In(role).AtEvaluation();
    if (deterministic()) {
      EXPECT_EQ(evaluated, q().In(role));
    }
    EXPECT_EQ(evaluated.AtEvaluation(), evaluated);
    // With the same scale.
    EXPECT_EQ(evaluated.scale_operand(), q().scale_operand());
    EXPECT_EQ(evaluated.granularity(), q().granularity());
    EXPECT_EQ(evaluated.args().fixed_scale, q().args().fixed_scale);
  }
}

// Which numbers a quantizer says that it has is what it reads.
TEST_P(QuantizerTest, DependsOnTheNumbersThatItHas) {
  bool on_statistic = false, on_variable = false, on_scale = false;
  for (float x : Inputs()) {
    if (std::fabs(x) > 100) continue;
    const auto differ = [&](const Numbers& a, const Numbers& b) {
      return Value(q(), x, a) != Value(q(), x, b) || Surrogate(q(), x, a) != Surrogate(q(), x, b);
    };
    on_statistic |= differ({.statistic = 0.7f}, {.statistic = 1.3f});
    on_variable |= differ({.variable = 1.25f}, {.variable = 2.5f});
    on_scale |= differ({.scale = 0.7f}, {.scale = 1.3f});
  }
  EXPECT_EQ(on_statistic, q().statistic() != Statistic::kNone);
  EXPECT_EQ(on_variable, q().has_variable());
  EXPECT_EQ(on_scale, q().has_learned_scale());
  EXPECT_EQ(q().is_fixed(), deterministic() && !on_statistic && !on_variable && !on_scale);
}

TEST_P(QuantizerTest, ParseReadsWhatToStringWrites) {
  const absl::StatusOr<Quantizer> parsed = ParseQuantizer(q().ToString());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->ToString(), q().ToString());
  EXPECT_EQ(parsed->In(q().args().role), q());
}

INSTANTIATE_TEST_SUITE_P(All, QuantizerTest, testing::ValuesIn(Quantizers()),
                         [](const testing::TestParamInfo<Quantizer>& info) {
                           std::string name = info.param.ToString();
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name + "_" + std::to_string(info.index);
                         });

}  // namespace
}  // namespace bitgrad
