// Step functions, and which of our quantizers one is.

#include "bitgrad/export/step_function.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/c_code/quantizer_steps.h"
#include "bitgrad/export/float_order.h"
#include "bitgrad/export/quantizer_like.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(FloatOrderTest, NumbersFloatsWithoutGaps) {
  for (const float x : {-kInfinity, -1.5f, -1e-45f, -0.0f, 0.0f, 1e-45f, 1.0f, 3e38f}) {
    EXPECT_EQ(NthFloat(FloatNumber(x)), x);
    EXPECT_EQ(NthFloat(FloatNumber(x) + 1), x == 0 && std::signbit(x) ? 0.0f : std::nextafter(x, kInfinity)) << x;
  }
}

TEST(FloatOrderTest, FindsTheLeastFloat) {
  const auto least = [](float bound) { return LeastFloat(-3e38f, 3e38f, [&](float x) { return x >= bound; }); };
  for (const float bound : {-7.25f, -1e-45f, 0.0f, 1e-45f, 0.1f, 3e38f}) EXPECT_EQ(least(bound), bound);
  EXPECT_FALSE(std::signbit(least(0.0f)));
}

float Clipped(float x, float least, float most) { return std::clamp(x, least, most); }

TEST(StepFunctionTest, LimitsAreTheFloatsWhereTheValueChanges) {
  const auto up = StepsOf(1, 255, [](float x, int64_t) { return std::floor(Clipped(x, 0, 2)); });
  ASSERT_TRUE(up.has_value());
  EXPECT_THAT(up->limits, ElementsAre(1, 2));
  EXPECT_THAT(up->values, ElementsAre(0, 1, 2));
  // Falling, by columns, of which the second has less steps.
  const auto down = StepsOf(2, 255, [](float x, int64_t j) { return std::ceil(Clipped(-x, 0, j == 0 ? 2 : 1)); });
  ASSERT_TRUE(down.has_value());
  EXPECT_EQ(down->steps, 2);
  const float behind = std::nextafter(-1.0f, 0.0f);
  for (const float x : {-3.0f, -1.0f, behind, -0.5f, 0.0f, 5.0f}) {
    for (const int64_t j : {0, 1}) {
      int k = 0;
      while (k < down->steps && x >= down->limit(k, j)) ++k;
      EXPECT_EQ(down->value(k, j), std::ceil(Clipped(-x, 0, j == 0 ? 2 : 1))) << x << " column " << j;
    }
  }
  EXPECT_TRUE(up->is_monotone());
  EXPECT_TRUE(down->is_monotone());
}

TEST(StepFunctionTest, ThereIsABoundOfTheSteps) {
  const auto steps = [](int most) {
    return StepsOf(1, most, [](float x, int64_t) { return std::floor(Clipped(x, 0, 4)); }).has_value();
  };
  EXPECT_TRUE(steps(4));
  EXPECT_FALSE(steps(3));
  EXPECT_FALSE(StepsOf(1, 255, [](float x, int64_t) { return std::floor(x); }).has_value());
}

TEST(StepFunctionTest, MergesLimitsOfBoth) {
  const StepFunction a = {.columns = 1, .steps = 2, .limits = {1, 3}, .values = {0, 1, 2}};
  const StepFunction b = {.columns = 2, .steps = 1, .limits = {3, 2}, .values = {0, 0, 10, 20}};
  const StepFunction sum = Merged(a, b, [](float x, float y) { return x + y; });
  EXPECT_EQ(sum.steps, 3);
  EXPECT_THAT(sum.limits, ElementsAre(1, 1, 3, 2, kInfinity, 3));
  EXPECT_THAT(sum.values, ElementsAre(0, 0, 1, 1, 12, 21, 12, 22));
}

TEST(StepFunctionTest, ReducedHasNoStepWithoutAChange) {
  // The second limit changes nothing, the third and fourth are passed at once.
  const StepFunction f = {.columns = 1, .steps = 4, .limits = {0, 1, 2, 2}, .values = {5, 6, 6, 7, 8}};
  const StepFunction reduced = Reduced(f);
  EXPECT_THAT(reduced.limits, ElementsAre(0, 2));
  EXPECT_THAT(reduced.values, ElementsAre(5, 6, 8));
  const StepFunction alike = {.columns = 2, .steps = 1, .limits = {1, 1}, .values = {0, 0, 3, 3}};
  EXPECT_EQ(Reduced(alike).columns, 1);
  const StepFunction other = {.columns = 2, .steps = 1, .limits = {1, 1}, .values = {0, 0, 3, 4}};
  EXPECT_EQ(Reduced(other).columns, 2);
  const StepFunction bump = {.columns = 1, .steps = 2, .limits = {0, 1}, .values = {0, 1, 0}};
  EXPECT_FALSE(bump.is_monotone());
}

StepFunction OfValues(const std::vector<float>& values) {
  StepFunction f = {.columns = 1, .steps = static_cast<int>(values.size()) - 1, .limits = {}, .values = values};
  for (int l = 0; l < f.steps; ++l) f.limits.push_back(static_cast<float>(l));
  return f;
}

TEST(StepFunctionTest, ValuesBecomeCodesOfTheFewestBits) {
  const auto expect = [](const std::vector<float>& values, const Encoding& encoding, float scale,
                         const std::vector<int32_t>& codes) {
    const std::optional<StepCodes> found = CodesOfSteps(OfValues(values));
    ASSERT_TRUE(found.has_value()) << testing::PrintToString(values);
    EXPECT_EQ(found->encoding, encoding) << testing::PrintToString(values);
    EXPECT_EQ(found->scale, scale);
    EXPECT_THAT(found->codes, ElementsAreArray(codes));
  };
  expect({-1, 1}, {EncodingKind::kBinary, 1}, 1, {-1, 1});
  expect({0.3f, -0.3f}, {EncodingKind::kBinary, 1}, 0.3f, {1, -1});
  expect({0, 2.5f}, {EncodingKind::kUnsigned, 1}, 2.5f, {0, 1});
  expect({-1, 0, 1}, {EncodingKind::kTernary, 2}, 1, {-1, 0, 1});
  expect({-3, -1, 1, 3}, {EncodingKind::kSymmetric, 2}, 1, {-3, -1, 1, 3});
  expect({0, 0.1f, 0.1f * 2, 0.1f * 3}, {EncodingKind::kUnsigned, 2}, 0.1f, {0, 1, 2, 3});
  expect({-2, -1, 1}, {EncodingKind::kTwosComplement, 2}, 1, {-2, -1, 1});
  // 1 and 1.5 are 2 and 3 halves.
  expect({0, 1, 1.5f}, {EncodingKind::kUnsigned, 2}, 0.5f, {0, 2, 3});
  std::vector<float> bytes;
  std::vector<int32_t> codes;
  for (int c = 0; c < 256; ++c) {
    codes.push_back(c);
    bytes.push_back(static_cast<float>(c) * 0.0137f);
  }
  expect(bytes, {EncodingKind::kUnsigned, 8}, 0.0137f, codes);
  EXPECT_FALSE(CodesOfSteps(OfValues({0, 1, 3.14159f})).has_value());
  EXPECT_FALSE(CodesOfSteps(OfValues({0, 1, 256})).has_value());
  EXPECT_FALSE(CodesOfSteps(OfValues({2, 2})).has_value());
}

// A quantizer's own limits and values.
StepFunction FunctionOf(const PackedQuantizer& packed, ExecContext& context) {
  const absl::StatusOr<QuantizerSteps> steps = StepsOf(packed, context);
  EXPECT_TRUE(steps.ok()) << steps.status();
  StepFunction f = {
      .columns = 1, .steps = static_cast<int>(steps->limits.size()), .limits = steps->limits, .values = {}};
  for (const float stored : steps->values) {
    const int64_t code = packed.encoding().code(static_cast<int64_t>(stored));
    f.values.push_back(static_cast<float>(code) * packed.value_scale());
  }
  return f;
}

struct Case {
  const char* text;
  QuantizerRole role = QuantizerRole::kActivation;
};

TEST(QuantizerLikeTest, FindsEachFormByItsFunction) {
  ExecContext context({.threads = 1});
  for (const Case& c :
       {Case{"sign"}, Case{"sign(scale=0.37)"}, Case{"heaviside"}, Case{"ternary(0.35)"},
        Case{"ternary(0.35, scale=2.5)"}, Case{"k_bit(2)"}, Case{"k_bit(8)"}, Case{"k_bit(5, scale=3)"},
        Case{"dorefa_activation(4)"}, Case{"pact(4)"}, Case{"lsq(3)"}, Case{"lsq(8)"}, Case{"max_abs(6)"},
        Case{"lsq(4)", QuantizerRole::kWeight}, Case{"max_abs(3)", QuantizerRole::kWeight}}) {
    for (const float number : {0.0371f, 0.9f, 1.0f, 7.77f, 123.0f}) {
      PackedQuantizer packed = {.quantizer = ParseQuantizer(c.text)->In(c.role)};
      if (packed.quantizer.has_variable()) packed.variable = number;
      if (packed.quantizer.statistic() != Statistic::kNone) packed.statistic = number;
      const StepFunction f = Reduced(FunctionOf(packed, context));
      const std::optional<StepCodes> codes = CodesOfSteps(f);
      ASSERT_TRUE(codes.has_value()) << c.text;
      const std::optional<PackedQuantizer> found = QuantizerLike(context, f, *codes);
      ASSERT_TRUE(found.has_value()) << c.text << " of " << number;
      EXPECT_EQ(found->value_scale(), packed.value_scale()) << c.text << " of " << number;
      // Maybe with another number, or in another form, but the same function.
      const StepFunction same = FunctionOf(*found, context);
      EXPECT_EQ(same.limits, f.limits) << c.text << " of " << number << ": " << found->quantizer.ToString();
      EXPECT_EQ(same.values, f.values) << c.text << " of " << number << ": " << found->quantizer.ToString();
    }
  }
}

TEST(QuantizerLikeTest, ALimitOneFloatOffIsNoQuantizer) {
  ExecContext context({.threads = 1});
  const PackedQuantizer packed = {.quantizer = *ParseQuantizer("k_bit(2)")};
  const StepFunction f = FunctionOf(packed, context);
  for (int l = 0; l < f.steps; ++l) {
    for (const float towards : {-kInfinity, kInfinity}) {
      StepFunction off = f;
      off.limits[l] = std::nextafter(off.limits[l], towards);
      const std::optional<StepCodes> codes = CodesOfSteps(off);
      ASSERT_TRUE(codes.has_value());
      EXPECT_FALSE(QuantizerLike(context, off, *codes).has_value()) << "limit " << l;
    }
  }
}

}  // namespace
}  // namespace bitgrad
