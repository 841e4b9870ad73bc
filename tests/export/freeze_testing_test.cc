// What the parity tests draw and iterate over has everything that they promise to compare.

#include "bitgrad/tests/export/freeze_testing.h"

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <tuple>

#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr QuantizerRole kRoles[] = {QuantizerRole::kActivation, QuantizerRole::kWeight};

std::set<std::string> TextsOf(QuantizerRole role) {
  std::set<std::string> texts;
  for (const Quantizer& quantizer : IntegerQuantizers(role)) texts.insert(quantizer.ToString());
  return texts;
}

// A quantizer that is added to the list is compared in every role and in every number of bits that it can have.
TEST(IntegerQuantizersTest, CoverTheList) {
  for (const QuantizerRole role : kRoles) {
    const std::set<std::string> texts = TextsOf(role);
    EXPECT_EQ(texts.size(), IntegerQuantizers(role).size()) << "one is there twice";
    int forms = 0;
    for (const QuantizerInfo& info : AllQuantizers()) {
      const bool has_bits = info.argument == QuantizerArgument::kBits;
      for (int bits = 1; static_cast<float>(bits) <= (has_bits ? info.max_argument : 1); ++bits) {
        QuantizerArgs args = ParseQuantizer(info.name)->args();
        if (has_bits) args.bits = bits;
        const Quantizer quantizer = Quantizer(&info, args).In(role);
        const Encoding encoding = quantizer.AtEvaluation().encoding();
        if (!quantizer.CheckRole().ok() || !encoding.is_integer()) continue;
        if (encoding.is_log() && encoding.bits > kMostLogBits) continue;
        EXPECT_EQ(texts.count(quantizer.ToString()), 1u) << quantizer.ToString();
        if (role == QuantizerRole::kWeight && quantizer.PerRow().CheckRole().ok()) {
          EXPECT_EQ(texts.count(quantizer.PerRow().ToString()), 1u) << quantizer.PerRow().ToString();
        }
        ++forms;
      }
    }
    EXPECT_GT(forms, 50);
  }
}

TEST(IntegerQuantizersTest, HaveEveryKindOfScale) {
  for (const QuantizerRole role : kRoles) {
    const std::set<std::string> texts = TextsOf(role);
    for (const char* text : {"log_quant(4)", "log_quant(4, zero=false)", "sign(scale=learned)", "k_bit(3, scale=mean)",
                             "k_bit(2, scale=0.300000012)", "swish_sign(5, beta=learned)", "heaviside(scale=learned)",
                             "max_abs(2)", "lsq(4)"}) {
      EXPECT_EQ(texts.count(text), 1u) << text;
    }
    for (const char* text : {"sign(scale=learned, per_output)", "k_bit(3, scale=mean, per_output)",
                             "ternary(0.5, scale=learned, per_output)", "lsq(2, per_output)", "max_abs(8, per_output)",
                             "dorefa_weight(1, per_output)", "sign(scale=glorot)"}) {
      EXPECT_EQ(texts.count(text), role == QuantizerRole::kWeight ? 1u : 0u) << text;
    }
  }
}

TEST(NormOfTest, HasEveryVariant) {
  for (const uint32_t begin : {0u, 13u}) {
    std::set<std::tuple<int, int, bool>> variants;
    std::set<float> epsilons;
    for (uint32_t number = begin; number < begin + kNormVariants; ++number) {
      const BatchNormOptions norm = NormOf(number);
      variants.emplace(static_cast<int>(norm.statistic), static_cast<int>(norm.placement), norm.unbiased);
      epsilons.insert(norm.epsilon);
    }
    EXPECT_EQ(variants.size(), kNormVariants);
    EXPECT_EQ(epsilons.size(), 2u);
  }
}

TEST(RandomizeBatchNormsTest, DrawsEveryKindOfNumber) {
  std::mt19937 random(1);
  ParameterStore store(1);
  const BatchNorm norm(store.Root() / "norm", {.features = 100});
  ASSERT_TRUE(store.status().ok()) << store.status();
  RandomizeBatchNorms(store, random);
  const auto count = [&](const std::string& name, auto is_kind) {
    int number = 0;
    for (const float value : store.Find("norm/" + name)->value.span<float>()) number += is_kind(value);
    return number;
  };
  EXPECT_GT(count("gamma", [](float x) { return x < 0; }), 5);
  EXPECT_GT(count("gamma", [](float x) { return x > 0; }), 5);
  EXPECT_GT(count("gamma", [](float x) { return x == 0 && !std::signbit(x); }), 5);
  EXPECT_GT(count("gamma", [](float x) { return x == 0 && std::signbit(x); }), 5);
  EXPECT_GT(count("beta", [](float x) { return x == 0; }), 5);
  EXPECT_GT(count("beta", [](float x) { return x != 0; }), 5);
  EXPECT_GT(count("running_mean", [](float x) { return x == std::floor(x); }), 5);
  EXPECT_GT(count("running_mean", [](float x) { return x != std::floor(x); }), 5);
  EXPECT_EQ(count("running_statistic", [](float x) { return x > 0; }), 100);
  EXPECT_GT(count("running_statistic", [](float x) { return x != 1; }), 5);
}

}  // namespace
}  // namespace bitgrad
