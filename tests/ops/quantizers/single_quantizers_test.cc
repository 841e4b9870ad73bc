// The promises of single quantizers: ties, thresholds, factors of the backward pass, means of random ones.

#include <algorithm>
#include <cmath>
#include <limits>

#include "bitgrad/core/rng.h"
#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/ops/quantizers/scalar_functions.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr float kTiny = std::numeric_limits<float>::denorm_min();

TEST(SignTest, TiesAndTinies) {
  for (const Quantizer& q :
       {Sign(), Xnor(), KBit(1), ApproxSign(), SwishSign(), DorefaWeight(1), MaxAbs(1).In(QuantizerRole::kWeight)}) {
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

TEST(HeavisideTest, ZeroIsZero) {
  EXPECT_EQ(Code(Heaviside(), 0.0f), 0.0f);
  EXPECT_EQ(Code(Heaviside(), -0.0f), 0.0f);
  EXPECT_EQ(Code(Heaviside(), kTiny), 1.0f);
  EXPECT_EQ(Code(Heaviside(), kNan), 0.0f);
}

TEST(XnorTest, IsSignWithTheMeanOfEachOutput) {
  const Quantizer q = Sign().WithMeanScale().PerRow();
  EXPECT_EQ(q, *ParseQuantizer("sign(scale=mean, per_output)"));
  for (const Quantizer& xnor : {Xnor(), *ParseQuantizer("xnor"), Xnor().PerRow()}) {
    EXPECT_EQ(xnor, Xnor());
    EXPECT_EQ(xnor.statistic(), q.statistic());
    EXPECT_EQ(xnor.granularity(), q.granularity());
    EXPECT_EQ(xnor.encoding(), q.encoding());
    EXPECT_EQ(xnor.scale_operand(), q.scale_operand());
    EXPECT_EQ(xnor.scale_divisor(), q.scale_divisor());
    EXPECT_EQ(xnor.scales_gradient(), q.scales_gradient());
    EXPECT_EQ(xnor.info().differentiates_statistic, q.info().differentiates_statistic);
    EXPECT_EQ(xnor.info().surrogate_is_window, q.info().surrogate_is_window);
    EXPECT_EQ(xnor.info().weight_pass_through, q.info().weight_pass_through);
    EXPECT_EQ(xnor.info().clips_latent, q.info().clips_latent);
    for (float x : Inputs()) {
      for (float mean : {0.0f, 0.3f, 2.0f}) {
        EXPECT_EQ(Value(xnor, x, {.statistic = mean}), Value(q, x, {.statistic = mean}));
        EXPECT_EQ(Surrogate(xnor, x, {.statistic = mean}), Surrogate(q, x, {.statistic = mean}));
      }
    }
  }
  EXPECT_TRUE(q.scales_gradient() && q.info().differentiates_statistic);
}

TEST(LogQuantTest, TheDecisionIsAtSqrtTwo) {
  const Quantizer q = LogQuant(5).In(QuantizerRole::kGradient);  // sizes 2^-14 .. 1
  for (int e = -14; e < 0; ++e) {
    const float below = std::ldexp(0x1.6a09e6p0f, e), above = std::nextafter(below, 1.0f);  // around sqrt(2) 2^e
    EXPECT_EQ(Code(q, below), std::ldexp(1.0f, e)) << e;
    EXPECT_EQ(Code(q, above), std::ldexp(2.0f, e)) << e;
    EXPECT_EQ(Code(q, -above), -std::ldexp(2.0f, e)) << e;
  }
  EXPECT_EQ(Code(q, 0.45f * 0x1p-13f), 0x1p-14f);
  EXPECT_EQ(Code(q, 0x1.6a09e6p-15f), 0.0f);  // nearer to 2^-15 on the logarithmic scale
  EXPECT_EQ(Code(q, 0x1.6a09e8p-15f), 0x1p-14f);
  EXPECT_EQ(Code(q, 3.0f), 1.0f);
  EXPECT_EQ(Code(q, kTiny), 0.0f);
  EXPECT_EQ(Code(q, -kInfinity), -1.0f);
  // Weights and activations have the same values, as integer codes.
  EXPECT_EQ(q.encoding(), (Encoding{EncodingKind::kPowerOfTwo, 5}));
  for (const QuantizerRole role : {QuantizerRole::kWeight, QuantizerRole::kActivation}) {
    const Quantizer coded = q.In(role);
    EXPECT_EQ(coded.encoding(), (Encoding{EncodingKind::kLog, 5}));
    for (const float x : Inputs()) EXPECT_EQ(Value(coded, x), Value(q, x)) << x;
    EXPECT_EQ(Code(coded, -3.0f), -0x1p14f);
    EXPECT_EQ(Code(coded, 0x1p-14f), 1.0f);
    EXPECT_EQ(LogQuant(2).In(role).encoding(), (Encoding{EncodingKind::kTernary, 2}));
  }
  // Two bits are a ternary quantizer.
  EXPECT_EQ(Code(LogQuant(2), 0.7f), 0.0f);
  EXPECT_EQ(Code(LogQuant(2), -0.71f), -1.0f);
}

TEST(LogQuantTest, WithoutZeroTheLeastSizeTakesItsPlace) {
  const Quantizer q = LogQuant(3, /*zero=*/false);  // sizes 2^-3 .. 1
  EXPECT_EQ(q.encoding(), (Encoding{EncodingKind::kLogNonzero, 3}));
  EXPECT_EQ(q.scale(1), 0x1p-3f);
  EXPECT_EQ(Value(q, 0.3f), 0.25f);
  EXPECT_EQ(Value(q, 0x1.6a09e6p-3f), 0x1p-3f);
  for (const float x : {0.1f, 1e-30f, kTiny, 0.0f, -0.0f}) EXPECT_EQ(Value(q, x), 0x1p-3f) << x;
  for (const float x : {-0.1f, -1e-30f, -kTiny}) EXPECT_EQ(Value(q, x), -0x1p-3f) << x;
  EXPECT_EQ(Code(q, kInfinity), 8.0f);
  EXPECT_EQ(Code(q, kNan), -8.0f);
  EXPECT_EQ(Value(LogQuant(2, false), -0.3f), -0.5f);
  for (const float x : Inputs()) EXPECT_EQ(Value(q.In(QuantizerRole::kWeight), x), Value(q, x)) << x;
}

// Products have no integers for more.
TEST(LogQuantTest, CodesAreBounded) {
  const auto has_codes = [](int bits, bool zero, QuantizerRole role) {
    return LogQuant(bits, zero).In(role).encoding().is_integer();
  };
  for (int bits = 2; bits <= 7; ++bits) {
    EXPECT_TRUE(has_codes(bits, true, QuantizerRole::kWeight));
    EXPECT_EQ(has_codes(bits, true, QuantizerRole::kActivation), bits <= 6);
    EXPECT_EQ(has_codes(bits, false, QuantizerRole::kWeight), bits <= 6);
    EXPECT_EQ(has_codes(bits, false, QuantizerRole::kActivation), bits <= 5);
    EXPECT_FALSE(has_codes(bits, true, QuantizerRole::kGradient));
  }
}

// The mean of 20,000 draws within four of its standard deviations, which are at most half of the step between two
// powers.
TEST(ExponentialRoundTest, IsUnbiased) {
  constexpr int kDraws = 20000;
  const RngStream stream = {.seed = 3};
  for (const float x : {1.0f, 1.3f, -0.7f, 5.99f, 1e-20f, -3e20f}) {
    double sum = 0;
    const float below = std::ldexp(1.0f, std::ilogb(x));
    for (int i = 0; i < kDraws; ++i) {
      const float value = Code(ExponentialRound(), x, {}, Uniform(stream, i));
      ASSERT_TRUE(std::fabs(value) == below || std::fabs(value) == 2 * below) << value;
      sum += value;
    }
    EXPECT_NEAR(sum / kDraws, x, 4 * 0.5 * below / std::sqrt(kDraws)) << x;
  }
  EXPECT_EQ(Code(ExponentialRound(), 0.0f, {}, 0.0f), 0.0f);
}

TEST(ExponentialRoundTest, Windows) {
  const Quantizer q = ExponentialRound({.least = -4, .most = 3});
  EXPECT_EQ(q.encoding(), (Encoding{EncodingKind::kPowerOfTwo, 5}));  // 0 and nine exponents, each with a sign
  // Below the window 2^-4 with probability |x| / 2^-4, so that the mean stays.
  EXPECT_EQ(Code(q, 0x1p-6f, {}, 0.24f), 0x1p-4f);
  EXPECT_EQ(Code(q, 0x1p-6f, {}, 0.25f), 0.0f);
  EXPECT_EQ(Code(q, -1e-30f, {}, 0.5f), 0.0f);
  EXPECT_EQ(Code(q, 100.0f, {}, 0.99f), 16.0f);
  EXPECT_EQ(Code(q, -kInfinity, {}, 0.99f), -16.0f);
  EXPECT_EQ(Code(q, 12.0f, {}, 0.49f), 16.0f);
  EXPECT_EQ(Code(q, 12.0f, {}, 0.5f), 8.0f);
  // What the authors' convolutions do: there is no zero.
  const Quantizer authors = ExponentialRound({.least = -4, .most = 3, .as_authors = true});
  EXPECT_EQ(Code(authors, 0.0f, {}, 0.5f), -0x1p-4f);
  EXPECT_EQ(Code(authors, 1e-3f, {}, 0.9f), 0x1p-4f);
  EXPECT_EQ(Code(authors, -1e-3f, {}, 0.9f), -0x1p-4f);
  EXPECT_EQ(Code(authors, 12.0f, {}, 0.49f), 16.0f);
}

TEST(LogGradientTest, ReachesDownFromTheMaximum) {
  const Quantizer q = LogGradient(6);
  const Numbers numbers = {.statistic = 3.0f};  // exponents from 2 down to -28
  EXPECT_EQ(Code(q, 3.0f, numbers, 0.49f), 4.0f);
  EXPECT_EQ(Code(q, 3.0f, numbers, 0.5f), 2.0f);
  EXPECT_EQ(Code(q, -0x1p-28f, numbers, 0.99f), -0x1p-28f);
  EXPECT_EQ(Code(q, 0x1p-30f, numbers, 0.24f), 0x1p-28f);
  EXPECT_EQ(Code(q, 0x1p-30f, numbers, 0.25f), 0.0f);
  EXPECT_EQ(Code(q, 0.0f, numbers, 0.0f), 0.0f);
  // A maximum that is a power of two is the largest value.
  EXPECT_EQ(Code(q, 2.0f, {.statistic = 2.0f}, 0.0f), 2.0f);
  EXPECT_EQ(Code(q, 0.0f, {.statistic = 0.0f}, 0.0f), 0.0f);
  EXPECT_EQ(Code(q, 1e-38f, {.statistic = 1e-38f}, 0.99f), 0.0f);  // subnormal
  // Near the largest float the top is 2^128: what is rounded up to it is infinite, and is noticed.
  EXPECT_EQ(Code(q, 0x1.8p127f, {.statistic = 0x1.8p127f}, 0.6f), 0x1p127f);
  EXPECT_EQ(Code(q, 0x1.8p127f, {.statistic = 0x1.8p127f}, 0.4f), kInfinity);
  EXPECT_EQ(Code(q, 0x1p100f, {.statistic = 0x1.8p127f}, 0.5f), 0x1p100f);
  EXPECT_TRUE(std::isnan(Code(q, 1.0f, {.statistic = kInfinity})));
  EXPECT_TRUE(std::isnan(Code(q, 1.0f, {.statistic = kNan})));
}

// BinaryConnect's first version: a layer's weights are +-W0.
TEST(ScaleTest, OfGlorot) {
  const Quantizer q = *ParseQuantizer("stochastic_sign(scale=glorot)");
  EXPECT_EQ(q, StochasticSign().WithGlorotScale());
  EXPECT_NEAR(1 / q.ForFans(784, 1024).args().fixed_scale, 34.718, 5e-4);
  EXPECT_EQ(q.ForFans(784, 1024), q.ForFans(1024, 784));
  EXPECT_TRUE(q.ForFans(784, 1024).scales_gradient());
  EXPECT_EQ(Sign().ForFans(784, 1024), Sign());
  EXPECT_TRUE(q.In(QuantizerRole::kWeight).CheckRole().ok());
  EXPECT_FALSE(q.CheckRole().ok());
}

// Which factors dx has: those scales of which the surrogate knows nothing.
TEST(ScaleTest, OfTheBackwardPass) {
  EXPECT_FALSE(Sign().scales_gradient());
  EXPECT_TRUE(Sign().WithFixedScale(0.5f).scales_gradient());
  EXPECT_TRUE(Sign().WithLearnedScale().scales_gradient());
  EXPECT_TRUE(Sign().WithMeanScale().scales_gradient());
  EXPECT_FALSE(KBit(2).scales_gradient());
  EXPECT_TRUE(KBit(2).WithLearnedScale().scales_gradient());
  EXPECT_EQ(KBit(2).WithLearnedScale().scale(6.0f), 2.0f);
  EXPECT_EQ(KBit(2).WithFixedScale(0.5f).scale(1.0f), 0.5f / 3.0f);
  for (const Quantizer& q : {Lsq(2), Pact(2), MaxAbs(2), BitPruning(), DorefaWeight(1), DorefaGradient(2)}) {
    EXPECT_FALSE(q.scales_gradient()) << q.ToString();
  }
  // The last one asked for counts.
  EXPECT_EQ(Sign().WithFixedScale(0.5f).WithLearnedScale(), Sign().WithLearnedScale());
  EXPECT_EQ(Sign().WithLearnedScale().WithMeanScale(), Sign().WithMeanScale());
  EXPECT_EQ(Sign().WithMeanScale().WithFixedScale(1.0f), Sign());
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
    const double value = Value(q, x, {.statistic = statistic}, Uniform(rng, i));
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
      EXPECT_NEAR(Value(q, max, {.statistic = max}, 0.5f) / max, 1, 1e-6) << q.ToString();
      EXPECT_NEAR(Value(q, -max, {.statistic = max}, 0.5f) / max, -1, 1e-6) << q.ToString();
    }
  }
}

TEST(StochasticQuantizersTest, AZeroRowOfGradientsIsZero) {
  EXPECT_EQ(Value(DorefaGradient(4), 0.0f, {.statistic = 0.0f}), 0.0f);
  EXPECT_EQ(Value(StochasticRound(4), 0.0f, {.statistic = 0.0f}), 0.0f);
}

TEST(StochasticQuantizersTest, StochasticRoundKeepsZeros) {
  for (float uniform : {0.0f, 0.5f, 0x1.fffffep-1f})
    EXPECT_EQ(Code(StochasticRound(8), 0.0f, {.statistic = 3.0f}, uniform), 0.0f);
}

TEST(StochasticQuantizersTest, AreEvaluatedAsDocumented) {
  EXPECT_EQ(StochasticSign().AtEvaluation(), Sign());
  EXPECT_TRUE(StochasticSign().In(QuantizerRole::kWeight).AtEvaluation().is_identity());
  EXPECT_EQ(StochasticTernary().AtEvaluation(), Ternary());
  EXPECT_TRUE(StochasticTernary().In(QuantizerRole::kWeight).AtEvaluation().is_identity());
  // E[a q(w)] = a w.
  const Quantizer scaled = StochasticSign().In(QuantizerRole::kWeight).WithFixedScale(0.5f).AtEvaluation();
  EXPECT_FALSE(scaled.is_identity());
  EXPECT_EQ(Value(scaled, 0.25f), 0.125f);
}

TEST(ScalarTest, ExpMinusIsNearAndMonotone) {
  float before = 1;
  for (float x = 0; x < 87; x += 1e-3f) {
    const double expected = std::exp(-double{x});
    const float value = ExpMinus(x);
    ASSERT_NEAR(value, expected, 3 * std::ldexp(expected, -23)) << x;
    ASSERT_LE(value, before) << x;
    before = value;
  }
  EXPECT_EQ(ExpMinus(0), 1);
  EXPECT_GT(ExpMinus(87), 0);
  EXPECT_EQ(ExpMinus(88), 0);
  EXPECT_EQ(ExpMinus(kInfinity), 0);
  EXPECT_TRUE(std::isnan(ExpMinus(kNan)));
}

TEST(ScalarTest, TanhIsNearAndMonotone) {
  float before = -1;
  for (float x = -12; x < 12; x += 1e-4f) {
    const double expected = std::tanh(double{x});
    const float value = Tanh(x);
    ASSERT_NEAR(value, expected, 3 * std::ldexp(std::fabs(expected), -23)) << x;
    ASSERT_GE(value, before) << x;
    before = value;
  }
  for (float x = 1e-38f; x < 1; x *= 1.01f) {
    ASSERT_NEAR(Tanh(x), std::tanh(double{x}), 3 * std::ldexp(double{x}, -23)) << x;
    ASSERT_EQ(Tanh(-x), -Tanh(x)) << x;
  }
  EXPECT_EQ(Tanh(kInfinity), 1);
  EXPECT_EQ(Tanh(-kInfinity), -1);
  EXPECT_EQ(Tanh(0), 0);
  EXPECT_TRUE(std::isnan(Tanh(kNan)));
}

}  // namespace
}  // namespace bitgrad
