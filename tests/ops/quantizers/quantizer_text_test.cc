// The text form of quantizers, "name(item, item)", and the errors of what it and the factories refuse.

#include <limits>
#include <string>
#include <vector>

#include "bitgrad/ops/quantizers/list.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(ParseQuantizerTest, DefaultsAndSpaces) {
  EXPECT_EQ(*ParseQuantizer("sign"), Sign());
  EXPECT_EQ(*ParseQuantizer("  k_bit(3) "), KBit(3));
  EXPECT_EQ(*ParseQuantizer("k_bit"), KBit(2));
  EXPECT_EQ(*ParseQuantizer("swish_sign"), SwishSign(5));
  EXPECT_EQ(*ParseQuantizer("ternary(0.25)"), Ternary(0.25f));
  EXPECT_EQ(*ParseQuantizer("lsq(4)"), Lsq(4));
  EXPECT_TRUE(ParseQuantizer("identity")->is_identity());
  EXPECT_TRUE(Quantizer().is_identity());
  EXPECT_TRUE(Quantizer().In(QuantizerRole::kWeight).is_identity());
}

TEST(ParseQuantizerTest, Items) {
  const Quantizer learned = Sign().WithLearnedScale();
  EXPECT_EQ(*ParseQuantizer("sign(scale=learned)"), learned);
  EXPECT_EQ(*ParseQuantizer("sign(scale=learned, per_output)"), learned.PerRow());
  EXPECT_EQ(*ParseQuantizer("sign( per_output ,scale=learned )"), learned.PerRow());
  EXPECT_EQ(*ParseQuantizer("sign(scale=mean)"), Sign().WithMeanScale());
  EXPECT_EQ(*ParseQuantizer("sign(scale=0.5)"), Sign().WithFixedScale(0.5f));
  EXPECT_EQ(*ParseQuantizer("sign(scale=1)"), Sign());
  EXPECT_EQ(*ParseQuantizer("k_bit(scale=learned, 3)"), KBit(3).WithLearnedScale());
  EXPECT_EQ(*ParseQuantizer("k_bit(scale=learned)"), KBit(2).WithLearnedScale());
  EXPECT_EQ(*ParseQuantizer("lsq(4, per_output)"), Lsq(4).PerRow());
  EXPECT_EQ(*ParseQuantizer("dorefa_weight(1, per_output)"), DorefaWeight(1).PerRow());
  EXPECT_EQ(*ParseQuantizer("bit_pruning(per_output)"), BitPruning().PerRow());
  EXPECT_EQ(*ParseQuantizer("swish_sign(2, beta=learned)"), SwishSignWithLearnedBeta(2));
  EXPECT_EQ(*ParseQuantizer("swish_sign(beta=learned, per_output)"), SwishSignWithLearnedBeta(5).PerRow());
}

// The canonical form has the number first, then what is learned, the scale and the granularity.
TEST(ParseQuantizerTest, CanonicalForm) {
  const std::pair<Quantizer, const char*> forms[] = {
      {Sign(), "sign"},
      {Xnor(), "xnor"},
      {Xnor().PerRow(), "xnor"},
      {DorefaGradient(6).PerRow(), "dorefa_gradient(6)"},
      {Sign().WithMeanScale().PerRow(), "sign(scale=mean, per_output)"},
      {KBit(2).WithFixedScale(0.1f), "k_bit(2, scale=0.100000001)"},
      {SwishSignWithLearnedBeta(2.5f).WithLearnedScale().PerRow(),
       "swish_sign(2.5, beta=learned, scale=learned, per_output)"},
      {Lsq(4).In(QuantizerRole::kWeight).PerRow(), "lsq(4, per_output)"},
      {Pact(3), "pact(3)"},
  };
  for (const auto& [quantizer, text] : forms) {
    EXPECT_EQ(quantizer.ToString(), text);
    EXPECT_EQ(ParseQuantizer(text)->In(quantizer.args().role), quantizer);
  }
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
  std::vector<Quantizer> invalid = {StochasticRound(1),
                                    Sign().PerRow(),
                                    SwishSign().PerRow(),
                                    Pact(2).WithMeanScale(),
                                    DorefaWeight(1).WithLearnedScale(),
                                    Xnor().WithFixedScale(2)};
  for (const int bits : {-1, 0, 9, 32, 1 << 30, std::numeric_limits<int>::min()}) {
    for (const auto& factory :
         {KBit, DorefaActivation, DorefaWeight, DorefaGradient, StochasticRound, Lsq, Pact, MaxAbs}) {
      invalid.push_back(factory(bits));
    }
  }
  for (const float value : {-0.1f, 1.0f, nan, infinity, -infinity}) invalid.push_back(Ternary(value));
  for (const float value : {0.0f, -5.0f, 1001.0f, nan, infinity}) {
    invalid.push_back(SwishSign(value));
    invalid.push_back(SwishSignWithLearnedBeta(value));
  }
  for (const float scale : {0.0f, -1.0f, nan, infinity}) invalid.push_back(Sign().WithFixedScale(scale));
  for (const Quantizer& quantizer : invalid) {
    const std::string text = quantizer.ToString();
    EXPECT_EQ(quantizer.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(quantizer.status(), ParseQuantizer(text).status()) << text;
  }
  EXPECT_EQ(KBit(9).status().message(),
            "quantizer 'k_bit(9)': the argument of 'k_bit' is a whole number of bits from 1 to 8");
  for (int bits = 1; bits <= 8; ++bits) {
    for (const auto& factory : {KBit, DorefaActivation, DorefaWeight, DorefaGradient, Pact, MaxAbs, Lsq}) {
      EXPECT_TRUE(factory(bits).status().ok()) << factory(bits).ToString();
    }
    EXPECT_EQ(StochasticRound(bits).status().ok(), bits > 1);
    EXPECT_EQ(Lsq(bits).In(QuantizerRole::kWeight).status().ok(), bits > 1);
  }
  EXPECT_EQ(Lsq(1).In(QuantizerRole::kWeight).status().message(),
            "quantizer 'lsq(1)': the argument of 'lsq' is for weights a whole number of bits from 2 to 8");
  for (const QuantizerInfo& info : AllQuantizers()) EXPECT_TRUE(ParseQuantizer(info.name)->status().ok()) << info.name;
}

TEST(ParseQuantizerTest, ErrorsNameTheQuantizerAndTheWayOut) {
  EXPECT_EQ(
      Error("sgin"),
      "unknown quantizer 'sgin'; known: identity, sign, stochastic_sign, approx_sign, swish_sign, xnor, heaviside, "
      "ternary, stochastic_ternary, k_bit, lsq, pact, max_abs, bit_pruning, dorefa_activation, dorefa_weight, "
      "dorefa_gradient, stochastic_round, log_quant, log_gradient, exponential_round");
  EXPECT_NE(Error("").find("unknown quantizer ''"), std::string::npos);
  EXPECT_EQ(Error("k_bit(2"), "quantizer 'k_bit(2': missing ')'; write name or name(item, item)");
  EXPECT_EQ(Error("xnor(1)"), "quantizer 'xnor(1)': 'xnor' takes nothing in parentheses, not '1'");
  EXPECT_EQ(Error("xnor(per_output)"),
            "quantizer 'xnor(per_output)': 'xnor' takes nothing in parentheses, not 'per_output'");
  EXPECT_EQ(Error("stochastic_round(8, per_output)"),
            "quantizer 'stochastic_round(8, per_output)': 'stochastic_round' takes a whole number of bits from 2 to 8, "
            "not 'per_output'");
  const std::string sign =
      "'sign' takes scale=learned, scale=mean, scale=glorot, scale=NUMBER, per_output (with a learned or measured "
      "number)";
  for (const char* item : {"1", "", "scale", "per_row", "beta=learned"}) {
    const std::string text = "sign(" + std::string(item) + ")";
    EXPECT_EQ(Error(text), "quantizer '" + text + "': " + sign + ", not '" + item + "'");
  }
  EXPECT_EQ(Error("sign(per_output)"),
            "quantizer 'sign(per_output)': there is no number for per_output to apply to; " + sign);
  EXPECT_EQ(Error("sign(scale=0.5, per_output)"),
            "quantizer 'sign(scale=0.5, per_output)': there is no number for per_output to apply to; " + sign);
  EXPECT_EQ(Error("lsq(2, scale=learned)"),
            "quantizer 'lsq(2, scale=learned)': 'lsq' takes no scale; 'lsq' takes a whole number of bits from 1 to 8, "
            "per_output");
  EXPECT_EQ(Error("sign(scale=max)"),
            "quantizer 'sign(scale=max)': a scale is 'learned', 'mean', 'glorot' or a number, not 'max'");
  for (const char* scale : {"0", "-1", "nan", "inf"}) {
    const std::string text = "sign(scale=" + std::string(scale) + ")";
    EXPECT_EQ(Error(text), "quantizer '" + text + "': a fixed scale is a positive, finite number");
  }
  EXPECT_EQ(Error("sign(scale=2, scale=mean)"), "quantizer 'sign(scale=2, scale=mean)': scale is given twice");
  EXPECT_EQ(Error("k_bit(2, 3)"), "quantizer 'k_bit(2, 3)': the number is given twice");
  EXPECT_EQ(Error("lsq(per_output, per_output)"), "quantizer 'lsq(per_output, per_output)': per_output is given twice");
  for (const char* text : {"k_bit(0)", "k_bit(9)", "k_bit(2.5)", "k_bit(nan)", "k_bit(-1)"}) {
    EXPECT_EQ(Error(text),
              "quantizer '" + std::string(text) + "': the argument of 'k_bit' is a whole number of bits from 1 to 8");
  }
  EXPECT_EQ(Error("k_bit(two)"),
            "quantizer 'k_bit(two)': 'k_bit' takes a whole number of bits from 1 to 8, scale=learned, scale=mean, "
            "scale=glorot, scale=NUMBER, per_output (with a learned or measured number), not 'two'");
  EXPECT_EQ(Error("exponential_round(least=0.5)"),
            "quantizer 'exponential_round(least=0.5)': an exponent is a whole number, not '0.5'");
  EXPECT_EQ(Error("exponential_round(least=3, most=2)"),
            "quantizer 'exponential_round(least=3, most=2)': exponents are from -126 to 126, and 'least' is not above "
            "'most', not 3 and 2");
  EXPECT_EQ(Error("exponential_round(most=1, most=2)"),
            "quantizer 'exponential_round(most=1, most=2)': most is given twice");
  EXPECT_EQ(
      Error("exponential_round(4)"),
      "quantizer 'exponential_round(4)': 'exponential_round' takes least=EXPONENT, most=EXPONENT, as_authors, not "
      "'4'");
  EXPECT_EQ(Error("log_quant(4, zero=no)"), "quantizer 'log_quant(4, zero=no)': zero is 'true' or 'false', not 'no'");
  EXPECT_EQ(Error("log_quant(zero=false, zero=true)"),
            "quantizer 'log_quant(zero=false, zero=true)': zero is given twice");
  EXPECT_EQ(Error("log_quant(nonzero)"),
            "quantizer 'log_quant(nonzero)': 'log_quant' takes a whole number of bits from 2 to 7, scale=learned, "
            "scale=mean, scale=glorot, scale=NUMBER, zero=false, per_output (with a learned or measured number), not "
            "'nonzero'");
  const Quantizer without_choice(&KBit(2).info(), {.bits = 2, .zero = false});
  EXPECT_NE(without_choice.status().message().find("'k_bit' has no choice about 0; 'k_bit' takes a whole number"),
            std::string::npos);
  EXPECT_EQ(ParseQuantizer("log_quant(zero=false, 5, scale=0.5)")->ToString(), "log_quant(5, scale=0.5, zero=false)");
  EXPECT_EQ(ParseQuantizer("log_quant(4, zero=true)")->ToString(), "log_quant(4)");
  for (const char* text : {"swish_sign(0)", "swish_sign(inf)", "swish_sign(1001, beta=learned)"}) {
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
  for (const char* item : {"scale=learned", "scale=mean", "scale=NUMBER", "beta=learned (swish_sign)", "per_output"}) {
    EXPECT_NE(help.find(item), std::string::npos) << item;
  }
}

}  // namespace
}  // namespace bitgrad
