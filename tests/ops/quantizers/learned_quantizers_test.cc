// Quantizers that learn a number: the derivatives with respect to it, against central differences where the value is
// differentiable and against the papers' formulas elsewhere; how it begins and where it ends.

#include <cmath>
#include <vector>

#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/ops/quantizers/scalar_functions.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr QuantizerRole kRoles[] = {QuantizerRole::kActivation, QuantizerRole::kWeight};

// Every quantizer with a variable of its own, in both roles.
std::vector<Quantizer> LearnedQuantizers() {
  std::vector<Quantizer> learned;
  for (const Quantizer& q : Quantizers()) {
    if (q.has_variable()) learned.push_back(q);
  }
  return learned;
}

TEST(LearnedQuantizersTest, VariableSurrogateIsTheFormula) {
  const std::vector<Quantizer> quantizers = LearnedQuantizers();
  EXPECT_GE(quantizers.size(), 30u);
  for (const Quantizer& q : quantizers) {
    for (const Numbers& numbers : NumbersFor(q)) {
      // At a jump of the value the derivative jumps as well. That of bit_pruning has the jumps of two bit lengths.
      reference::Numbers jumping = numbers.exact();
      if (q.info().name == "bit_pruning") jumping.variable = std::floor(jumping.variable) + 0.5;
      for (float x : Inputs()) {
        if (std::fabs(x) > 100 || reference::DistanceToJump(q, x, jumping, 0) < 1e-6) continue;
        const double expected = reference::VariableSurrogate(q, x, numbers.exact());
        // What is subtracted is at most x / step, one of the levels, or twice the range.
        const double size = std::fmax(std::fabs(x / numbers.variable), 2 * numbers.statistic) + std::fabs(expected);
        ASSERT_NEAR(VariableSurrogate(q, x, numbers), expected, 0x1p-21 * size)
            << q.ToString() << " at " << x << ", " << numbers;
      }
    }
  }
}

TEST(LearnedQuantizersTest, VariablesAreComplete) {
  for (const Quantizer& q : LearnedQuantizers()) {
    SCOPED_TRACE(q.ToString());
    const QuantizerVariable variable = q.variable();
    ASSERT_NE(variable.initial, nullptr);
    ASSERT_NE(variable.gradient_factor, nullptr);
    EXPECT_LT(variable.least, variable.most);
    EXPECT_GT(variable.least, 0.0f);
    for (const float mean : {0.0f, 1e-3f, 0.5f, 3.0f}) {
      const float initial = variable.initial(q.args(), mean, 4 * mean);
      EXPECT_GE(initial, variable.least);
      EXPECT_LE(initial, variable.most);
    }
    EXPECT_GT(variable.gradient_factor(q.args(), 1000), 0.0f);
    EXPECT_EQ(variable.decays, q.info().name == "pact");
    EXPECT_FALSE(q.is_fixed());
  }
}

// ---- LSQ.

TEST(LsqTest, CodesOfWeightsAndActivations) {
  const Quantizer weight = Lsq(2).In(QuantizerRole::kWeight), activation = Lsq(2);
  EXPECT_EQ(weight.encoding(), (Encoding{EncodingKind::kTwosComplement, 2}));
  EXPECT_EQ(activation.encoding(), (Encoding{EncodingKind::kUnsigned, 2}));
  const Numbers half = {.variable = 0.5f};
  const float inputs[] = {-9.0f, -1.25f, -0.76f, -0.75f, -0.25f, 0.24f, 0.25f, 0.75f, 1.3f, 9.0f};
  const float signed_codes[] = {-2, -2, -2, -1, 0, 0, 1, 1, 1, 1};
  const float unsigned_codes[] = {0, 0, 0, 0, 0, 0, 1, 2, 3, 3};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Code(weight, inputs[i], half), signed_codes[i]) << inputs[i];
    EXPECT_EQ(Code(activation, inputs[i], half), unsigned_codes[i]) << inputs[i];
  }
  EXPECT_EQ(Value(weight, -1.0f, half), -1.0f);
  EXPECT_EQ(Code(weight, kNan, half), 0.0f);
}

// As in the paper's equations 3 and 5, the ends themselves are outside.
TEST(LsqTest, EndsAreOutside) {
  const Quantizer weight = Lsq(3).In(QuantizerRole::kWeight), activation = Lsq(3);
  const Numbers half = {.variable = 0.5f};
  EXPECT_EQ(Surrogate(weight, -2.0f, half), 0.0f);
  EXPECT_EQ(Surrogate(weight, std::nextafter(-2.0f, 0.0f), half), 1.0f);
  EXPECT_EQ(Surrogate(weight, 1.5f, half), 0.0f);
  EXPECT_EQ(Surrogate(weight, std::nextafter(1.5f, 0.0f), half), 1.0f);
  EXPECT_EQ(Surrogate(activation, 0.0f, half), 0.0f);
  EXPECT_EQ(Surrogate(activation, 0.1f, half), 1.0f);
  EXPECT_EQ(Surrogate(activation, 3.5f, half), 0.0f);
  EXPECT_EQ(VariableSurrogate(weight, -2.0f, half), -4.0f);
  EXPECT_EQ(VariableSurrogate(weight, 1.5f, half), 3.0f);
  EXPECT_EQ(VariableSurrogate(activation, 3.5f, half), 7.0f);
  EXPECT_EQ(VariableSurrogate(activation, -1.0f, half), 0.0f);
  EXPECT_EQ(VariableSurrogate(weight, 0.35f, half), 1.0f - 0.35f / 0.5f);
}

// Where the code does not depend on the step, outside of the range, the formula is the derivative.
TEST(LsqTest, IsTheDerivativeOutside) {
  for (const QuantizerRole role : kRoles) {
    const Quantizer q = Lsq(3).In(role);
    for (const double x : {-9.0, 9.0}) {
      const double h = 1e-4;
      const double slope =
          (reference::Value(q, x, {0, 0.5 + h}, 0) - reference::Value(q, x, {0, 0.5 - h}, 0)) / (2 * h);
      EXPECT_NEAR(VariableSurrogate(q, static_cast<float>(x), {.variable = 0.5f}), slope, 1e-9);
    }
  }
}

TEST(LsqTest, BeginsAndScalesItsGradientAsThePaperSays) {
  const Quantizer weight = Lsq(3).In(QuantizerRole::kWeight), activation = Lsq(3);
  EXPECT_FLOAT_EQ(weight.variable().initial(weight.args(), 0.3f, 9), 0.6f / std::sqrt(3.0f));
  EXPECT_FLOAT_EQ(activation.variable().initial(activation.args(), 0.3f, 9), 0.6f / std::sqrt(7.0f));
  EXPECT_EQ(weight.variable().initial(weight.args(), 0, 0), 1.0f);
  EXPECT_TRUE(std::isnan(weight.variable().initial(weight.args(), kNan, 1)));
  EXPECT_FLOAT_EQ(weight.variable().gradient_factor(weight.args(), 1000), 1 / std::sqrt(3000.0f));
  EXPECT_FLOAT_EQ(activation.variable().gradient_factor(activation.args(), 1000), 1 / std::sqrt(7000.0f));
}

// ---- PACT.

TEST(PactTest, GradientOfTheClip) {
  const Numbers clip = {.variable = 2.0f};
  EXPECT_EQ(VariableSurrogate(Pact(2), std::nextafter(2.0f, 0.0f), clip), 0.0f);
  EXPECT_EQ(VariableSurrogate(Pact(2), 2.0f, clip), 1.0f);
  EXPECT_EQ(VariableSurrogate(Pact(2), 7.0f, clip), 1.0f);
  EXPECT_EQ(Surrogate(Pact(2), -0.001f, clip), 0.0f);
  EXPECT_EQ(Surrogate(Pact(2), 0.0f, clip), 1.0f);
  EXPECT_EQ(Surrogate(Pact(2), std::nextafter(2.0f, 0.0f), clip), 1.0f);
  EXPECT_EQ(Surrogate(Pact(2), 2.0f, clip), 0.0f);
  // Above the clip the value is the clip.
  for (const double x : {2.5, 100.0}) {
    const double h = 1e-4;
    const double slope =
        (reference::Value(Pact(4), x, {0, 2 + h}, 0) - reference::Value(Pact(4), x, {0, 2 - h}, 0)) / (2 * h);
    EXPECT_NEAR(VariableSurrogate(Pact(4), static_cast<float>(x), clip), slope, 1e-9);
  }
}

TEST(PactTest, BeginsAtTenOrAtTheLargestActivation) {
  const auto initial = [](float max) { return Pact(4).variable().initial(Pact(4).args(), 0.5f, max); };
  EXPECT_EQ(initial(30.0f), 10.0f);
  EXPECT_EQ(initial(4.0f), 4.0f);
  EXPECT_EQ(initial(0.0f), 10.0f);
}

// ---- BitPruning.

TEST(BitPruningTest, WholeBitLengthsAreTheQuantizersOfThatManyBits) {
  for (const QuantizerRole role : kRoles) {
    const Quantizer q = BitPruning().In(role);
    for (int bits = 1; bits <= 8; ++bits) {
      const Numbers of_bits = {.statistic = 1.7f, .variable = static_cast<float>(bits)};
      const Quantizer whole = MaxAbs(bits).In(role);
      EXPECT_EQ(q.Hardened(static_cast<float>(bits)), whole);
      std::vector<float> inputs = Inputs();
      inputs.push_back(kNan);
      // To the last bit: training goes on with the hardened quantizer as if nothing had happened.
      for (float x : inputs) ASSERT_EQ(Value(q, x, of_bits), Value(whole, x, of_bits)) << bits << " bits, " << x;
    }
  }
}

// Inside of a cell, n < N < n + 1, the value is linear in n.
TEST(BitPruningTest, GradientOfTheBitLengthIsTheDerivative) {
  for (const QuantizerRole role : kRoles) {
    const Quantizer q = BitPruning().In(role);
    for (const float bits : {1.25f, 2.5f, 4.75f, 7.5f}) {
      for (float x : Inputs()) {
        const float h = 0.125f;
        const float slope = (Value(q, x, {.statistic = 1.5f, .variable = bits + h}) -
                             Value(q, x, {.statistic = 1.5f, .variable = bits - h})) /
                            (2 * h);
        ASSERT_NEAR(VariableSurrogate(q, x, {.statistic = 1.5f, .variable = bits}), slope, 4e-6)
            << bits << " bits, " << x;
      }
    }
  }
}

TEST(BitPruningTest, ContinuesToTheNextBitLength) {
  const Quantizer q = BitPruning().In(QuantizerRole::kWeight);
  for (float x : Inputs()) {
    const float below = Value(q, x, {.statistic = 1.5f, .variable = std::nextafter(4.0f, 0.0f)});
    EXPECT_NEAR(below, Value(q, x, {.statistic = 1.5f, .variable = 4.0f}), 1e-6) << x;
  }
}

// The optimizer's constraint keeps n inside; a number that is not, is taken for the nearest that is.
TEST(BitPruningTest, BitLengthsOutsideOfTheRange) {
  const Quantizer q = BitPruning().In(QuantizerRole::kWeight);
  EXPECT_EQ(Value(q, 0.3f, {.variable = 0.2f}), Value(q, 0.3f, {.variable = 1.0f}));
  EXPECT_EQ(Value(q, 0.3f, {.variable = 9.5f}), Value(q, 0.3f, {.variable = 8.0f}));
}

TEST(BitPruningTest, HardensUpwards) {
  const Quantizer q = BitPruning().In(QuantizerRole::kWeight).PerRow();
  EXPECT_EQ(q.Hardened(2.0f), MaxAbs(2).In(QuantizerRole::kWeight).PerRow());
  EXPECT_EQ(q.Hardened(2.001f), MaxAbs(3).In(QuantizerRole::kWeight).PerRow());
  EXPECT_EQ(q.Hardened(8.0f), MaxAbs(8).In(QuantizerRole::kWeight).PerRow());
  for (const float bits : {0.0f, -1.0f, 8.5f, kNan, kInfinity}) {
    EXPECT_FALSE(q.Hardened(bits).status().ok()) << bits;
  }
  // The others stay what they are.
  EXPECT_EQ(Lsq(2).Hardened(3.0f), Lsq(2));
}

TEST(MaxAbsTest, ATensorOfZerosIsZero) {
  for (const QuantizerRole role : kRoles) {
    for (const Quantizer& q : {MaxAbs(1), MaxAbs(3), BitPruning()}) {
      const Numbers zeros = {.statistic = 0.0f, .variable = 2.5f};
      EXPECT_EQ(Value(q.In(role), 0.0f, zeros), 0.0f) << q.ToString();
      EXPECT_EQ(VariableSurrogate(q.In(role), 0.0f, zeros), 0.0f) << q.ToString();
    }
  }
}

TEST(MaxAbsTest, RangeOfTheRole) {
  const Numbers two = {.statistic = 2.0f};
  EXPECT_EQ(Value(MaxAbs(2), -1.0f, two), 0.0f);
  EXPECT_FLOAT_EQ(Value(MaxAbs(2), 0.7f, two), 2.0f / 3);
  EXPECT_EQ(Value(MaxAbs(2), 5.0f, two), 2.0f);
  EXPECT_EQ(Surrogate(MaxAbs(2), -0.5f, two), 0.0f);
  const Quantizer weight = MaxAbs(2).In(QuantizerRole::kWeight);
  EXPECT_FLOAT_EQ(Value(weight, -1.0f, two), -2.0f / 3);
  EXPECT_FLOAT_EQ(Value(weight, -1.4f, two), -2.0f);
  EXPECT_EQ(Surrogate(weight, -2.0f, two), 1.0f);
  EXPECT_EQ(Surrogate(weight, std::nextafter(-2.0f, -3.0f), two), 0.0f);
}

// ---- SwishSign.

// The values of the table in BNN+'s description, for a fixed and for a learned beta.
TEST(SwishSignTest, PublishedValues) {
  for (const Quantizer& q : {SwishSign(5), SwishSignWithLearnedBeta(1)}) {
    const Numbers five = {.variable = 5.0f};
    EXPECT_EQ(Surrogate(q, 0.0f, five), 5.0f);
    EXPECT_NEAR(Surrogate(q, 0.1f, five), 4.41229, 5e-6);
    EXPECT_NEAR(Surrogate(q, 0.3f, five), 1.561976, 5e-7 * 5);
    EXPECT_NEAR(Surrogate(q, 1.0f, five), -0.194992, 5e-7 * 5);
    EXPECT_GT(Surrogate(q, 0.475f, five), 0.0f);
    EXPECT_LT(Surrogate(q, 0.485f, five), 0.0f);
  }
  EXPECT_EQ(reference::SignSwish(5, 0), 0);
}

// Central differences with h in x and in beta: the error is h^2 times a third derivative of a few units, which in x has
// the factor beta^3 and in beta x^3, plus cancellation.
TEST(SwishSignTest, SurrogatesAreTheDerivativesOfSignSwish) {
  for (double beta : {1.0, 5.0, 20.0}) {
    const Quantizer fixed = SwishSign(static_cast<float>(beta)), learned = SwishSignWithLearnedBeta(1);
    const Numbers numbers = {.variable = static_cast<float>(beta)};
    for (double x = -3; x <= 3; x += 0.01) {
      const double h = 1e-5;
      const float at = static_cast<float>(x);
      const double slope = (reference::SignSwish(beta, x + h) - reference::SignSwish(beta, x - h)) / (2 * h);
      const double tolerance = 1e-10 * 10 * beta * beta * beta + 1e-5 * beta;
      EXPECT_NEAR(Surrogate(fixed, at), slope, tolerance) << "beta " << beta << ", x " << x;
      EXPECT_EQ(Surrogate(learned, at, numbers), Surrogate(fixed, at));
      const double by_beta = (reference::SignSwish(beta + h, x) - reference::SignSwish(beta - h, x)) / (2 * h);
      EXPECT_NEAR(VariableSurrogate(learned, at, numbers), by_beta, 1e-9 * 30 + 1e-5) << "beta " << beta << ", x " << x;
    }
  }
}

}  // namespace
}  // namespace bitgrad
