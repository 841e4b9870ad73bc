// Update rules of groups of parameters, Bop, and bounds.

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/optim/optim_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr int64_t kCount = 257;

template <typename T>
std::string ErrorOf(const absl::StatusOr<T>& result) {
  return result.ok() ? "ok" : std::string(result.status().message());
}

std::string ErrorOf(const absl::Status& status) { return status.ok() ? "ok" : std::string(status.message()); }

GroupRule RuleFor(ParameterGroup group, const std::string& name, const GroupRule::Options& options = {},
                  const Hyperparameters& hyperparameters = {}) {
  return {group, MakeUpdateRule(name, hyperparameters).value(), options};
}

std::vector<GroupRule> Rules(GroupRule first) {
  std::vector<GroupRule> rules;
  rules.push_back(std::move(first));
  return rules;
}

class GroupRulesTest : public ::testing::Test {
 protected:
  // A binary weight between a bias and a float weight, a step size and a 2-bit weight.
  static void AddParameters(BareModel& model) {
    model.Add("a/bias", RandomValues(9, 1));
    Parameter& binary = model.Add("a/weight", RandomValues(kCount, 2));
    binary.kind = ParameterKind::kQuantizedWeight;
    binary.encoding = {EncodingKind::kBinary, 1};
    binary.decays = true;
    binary.fan_in = 100;
    binary.fan_out = 100;
    binary.ClipTo(1);
    Parameter& step = model.Add("a/input/quantizer/step", {0.5f});
    step.kind = ParameterKind::kQuantizerVariable;
    Parameter& weight = model.Add("b/weight", RandomValues(40, 3));
    weight.kind = ParameterKind::kWeight;
    weight.decays = true;
    model.Add("b/running", {1}).trainable = false;
    model.Add("b/spline/coefficients", RandomValues(15, 4)).kind = ParameterKind::kSpline;
  }

  static void SetGradients(BareModel& model, int step) {
    uint32_t stream = 10 * step;
    for (Parameter* parameter : model.parameters()) {
      if (!parameter->trainable) continue;
      parameter->gradient = BareModel::Vector(RandomGradient(parameter->value.num_elements(), stream++));
    }
  }

  // The values of all parameters after three steps.
  std::vector<std::vector<float>> ThreeSteps(Optimizer& optimizer, BareModel& model) {
    const double rate = optimizer.learning_rate();
    for (int step = 0; step < 3; ++step) {
      optimizer.set_learning_rate(rate / (1 << step));
      SetGradients(model, step);
      EXPECT_EQ(ErrorOf(optimizer.Step(model.parameters())), "ok");
    }
    std::vector<std::vector<float>> values;
    for (const Parameter* parameter : model.parameters()) values.push_back(Values(parameter->value));
    return values;
  }

  ExecContext context_{{.threads = 2}};
};

// Each parameter is trained as an optimizer with its group's rule for all parameters would train it.
TEST_F(GroupRulesTest, EachGroupIsTrainedByItsRule) {
  std::vector<GroupRule> rules;
  rules.push_back(RuleFor(ParameterGroup::kQuantizerVariables, "sgd", {.learning_rate = 0.25}, {{"momentum", 0.5}}));
  rules.push_back(RuleFor(ParameterGroup::kQuantizedWeights, "adamax",
                          {.learning_rate = 0.0078125, .constant_rate = true, .weight_decay = 0.5}));
  rules.push_back(RuleFor(ParameterGroup::kSplines, "sgd", {.learning_rate = 0.25}, {{"momentum", 0.5}}));
  const OptimizerOptions common = {.learning_rate = 0.125, .weight_decay = 0.25, .glorot_scale = true};
  auto optimizer = *MakeOptimizer(context_, "adam", common, {}, std::move(rules));
  BareModel model;
  AddParameters(model);
  const auto values = ThreeSteps(*optimizer, model);
  EXPECT_EQ(optimizer->learning_rate(ParameterGroup::kOthers), 0.125 / 4);
  EXPECT_EQ(optimizer->learning_rate(ParameterGroup::kQuantizerVariables), 0.25 / 4);
  EXPECT_EQ(optimizer->learning_rate(ParameterGroup::kQuantizedWeights), 0.0078125);
  EXPECT_GT(model[1].sign_flips, 0);

  BareModel adam_model, sgd_model, adamax_model;
  for (BareModel* alone : {&adam_model, &sgd_model, &adamax_model}) AddParameters(*alone);
  const auto adam = ThreeSteps(**MakeOptimizer(context_, "adam", common), adam_model);
  const auto sgd =
      ThreeSteps(**MakeOptimizer(context_, "sgd", {.learning_rate = 0.25}, {{"momentum", 0.5}}), sgd_model);
  EXPECT_EQ(values[0], adam[0]);
  EXPECT_EQ(values[2], sgd[2]);
  EXPECT_EQ(values[3], adam[3]);
  EXPECT_EQ(values[5], sgd[5]) << "splines have a rule of their own";
  EXPECT_NE(values[5], adam[5]);
  auto adamax =
      *MakeOptimizer(context_, "adamax", {.learning_rate = 0.0078125, .weight_decay = 0.5, .glorot_scale = true});
  for (int step = 0; step < 3; ++step) {  // at a constant rate
    SetGradients(adamax_model, step);
    ASSERT_EQ(ErrorOf(adamax->Step(adamax_model.parameters())), "ok");
  }
  EXPECT_EQ(values[1], Values(adamax_model[1].value));
  EXPECT_EQ(model[1].sign_flips, adamax_model[1].sign_flips);
  EXPECT_EQ(model[1].at_clip, adamax_model[1].at_clip);
  EXPECT_NE(values[0], Values(adamax_model[0].value));
}

// All gradients together are clipped, whatever rules their parameters have.
TEST_F(GroupRulesTest, ClippingIsOverAllGroups) {
  BareModel model;
  AddParameters(model);
  auto optimizer = *MakeOptimizer(context_, "sgd", {.learning_rate = 1, .max_gradient_norm = 1}, {},
                                  Rules(RuleFor(ParameterGroup::kQuantizerVariables, "sgd", {.learning_rate = 1})));
  const float before = model[2].value.data<float>()[0];
  SetGradients(model, 0);
  const float g = model[2].gradient.data<float>()[0];
  ASSERT_EQ(ErrorOf(optimizer->Step(model.parameters())), "ok");
  EXPECT_GT(optimizer->gradient_norm(), 10);
  EXPECT_NEAR(before - model[2].value.data<float>()[0], g / optimizer->gradient_norm(), 1e-7);
}

TEST_F(GroupRulesTest, StateIsNamedByRuleAndRestored) {
  const auto make = [&] {
    return *MakeOptimizer(context_, "adam", {}, {},
                          Rules(RuleFor(ParameterGroup::kQuantizedWeights, "bop", {.learning_rate = 0.25})));
  };
  BareModel model;
  AddParameters(model);
  auto optimizer = make();
  EXPECT_EQ(optimizer->slots(model[1]), 1);
  EXPECT_EQ(optimizer->slots(model[0]), 2);
  ThreeSteps(*optimizer, model);
  std::vector<std::string> names;
  for (const NamedTensor& state : optimizer->state()) names.push_back(state.name);
  EXPECT_EQ(names, (std::vector<std::string>{"adam/m/a/bias", "adam/v/a/bias", "bop/m/a/weight",
                                             "adam/m/a/input/quantizer/step", "adam/v/a/input/quantizer/step",
                                             "adam/m/b/weight", "adam/v/b/weight", "adam/m/b/spline/coefficients",
                                             "adam/v/b/spline/coefficients"}));
  // Another optimizer goes on from there to the same values.
  BareModel other;
  AddParameters(other);
  for (size_t i = 0; i < 6; ++i) other[i].value = model[i].value.Clone();
  auto restored = make();
  ASSERT_EQ(ErrorOf(restored->Restore(other.parameters(), optimizer->state(), optimizer->step_count())), "ok");
  optimizer->set_learning_rate(restored->learning_rate());
  const auto expected = ThreeSteps(*optimizer, model);
  EXPECT_EQ(ThreeSteps(*restored, other), expected);
  // With a rule for all parameters the state is another.
  auto adam = *MakeOptimizer(context_, "adam", {});
  EXPECT_EQ(ErrorOf(adam->Restore(other.parameters(), optimizer->state(), 3)),
            "optimizer state 'adam/m/a/weight' is missing");
}

// The paper's rule, one weight at a time.
TEST_F(GroupRulesTest, BopFlipsWeights) {
  constexpr float kGamma = 0.25f, kThreshold = 0.125f;
  BareModel model;
  AddParameters(model);
  auto optimizer = *MakeOptimizer(
      context_, "adam", {.weight_decay = 0.5, .glorot_scale = true}, {},
      Rules(RuleFor(ParameterGroup::kQuantizedWeights, "bop", {.learning_rate = kGamma}, {{"threshold", kThreshold}})));
  model[1].set_signs(std::make_shared<const BitMatrix>(1, kCount));
  std::vector<float> m(kCount, 0.0f), w = Values(model[1].value);
  for (float& each : w) each = each >= 0 ? 1 : -1;
  int64_t all_flips = 0;
  for (int step = 0; step < 10; ++step) {
    SetGradients(model, step);
    const std::vector<float> g = Values(model[1].gradient);
    int64_t flips = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      m[i] = (1 - kGamma) * m[i] + kGamma * g[i];
      if (std::fabs(m[i]) <= kThreshold || (m[i] > 0) != (w[i] > 0)) continue;
      w[i] = -w[i];
      ++flips;
    }
    ASSERT_EQ(ErrorOf(optimizer->Step(model.parameters())), "ok");
    ASSERT_EQ(Values(model[1].value), w) << "step " << step;
    EXPECT_EQ(model[1].sign_flips, flips);
    EXPECT_EQ(model[1].at_clip, 0);
    const auto signs = model[1].signs();
    ASSERT_NE(signs, nullptr);
    for (int64_t i = 0; i < kCount; ++i) ASSERT_EQ(signs->view().bit(0, i), w[i] > 0);
    all_flips += flips;
  }
  EXPECT_GT(all_flips, kCount);
  EXPECT_LT(all_flips, 9 * kCount);
}

TEST_F(GroupRulesTest, RulesThatDoNotFit) {
  BareModel model;
  AddParameters(model);
  SetGradients(model, 0);
  const std::string only = "' trains binary weights only, and this is none; choose another rule for ";
  auto everywhere = *MakeOptimizer(context_, "bop", {});
  EXPECT_EQ(ErrorOf(everywhere->Step(model.parameters())),
            "parameter 'a/bias': optimizer 'bop" + only + "other parameters");
  EXPECT_EQ(everywhere->step_count(), 0);
  EXPECT_EQ(ErrorOf(everywhere->CheckRules(model.parameters())),
            "parameter 'a/bias': optimizer 'bop" + only + "other parameters");
  const auto with_bop = [&] {
    return *MakeOptimizer(context_, "adam", {}, {}, Rules(RuleFor(ParameterGroup::kQuantizedWeights, "bop")));
  };
  EXPECT_EQ(ErrorOf(with_bop()->CheckRules(model.parameters())), "ok");
  model[1].encoding = {EncodingKind::kSymmetric, 2};
  for (const bool step : {false, true}) {
    auto optimizer = with_bop();
    EXPECT_EQ(ErrorOf(step ? optimizer->Step(model.parameters()) : optimizer->CheckRules(model.parameters())),
              "parameter 'a/weight': optimizer 'bop" + only + "quantized weights");
  }
  model[1].kind = ParameterKind::kWeight;
  EXPECT_EQ(ErrorOf(with_bop()->CheckRules(model.parameters())),
            "optimizer: there is a rule 'bop' for quantized weights, but the model has none");
}

TEST_F(GroupRulesTest, OptionsOutOfRange) {
  const auto error = [&](const GroupRule::Options& options) {
    return ErrorOf(
        MakeOptimizer(context_, "adam", {}, {}, Rules(RuleFor(ParameterGroup::kQuantizedWeights, "bop", options))));
  };
  const std::string prefix = "optimizer 'bop of quantized weights': ";
  EXPECT_EQ(error({.learning_rate = 0}), prefix + "learning_rate is 0, must be a positive finite number");
  EXPECT_EQ(error({.learning_rate = 1.5}), prefix + "learning_rate is 1.5, must be at most 1");
  EXPECT_EQ(error({.learning_rate = 1}), "ok");
  EXPECT_EQ(error({.weight_decay = -1}), prefix + "weight_decay is -1, must be 0 or a positive finite number");
  EXPECT_EQ(ErrorOf(MakeUpdateRule("bop", {{"threshold", -1}})),
            "optimizer 'bop': threshold is -1, must be 0 or a positive finite number");
  EXPECT_EQ(ErrorOf(MakeUpdateRule("bop", {{"beta1", 0.5}})),
            "optimizer 'bop' has no hyperparameter 'beta1'; it has: threshold");
  std::vector<GroupRule> twice = Rules(RuleFor(ParameterGroup::kOthers, "sgd"));
  twice.push_back(RuleFor(ParameterGroup::kOthers, "adam"));
  EXPECT_EQ(ErrorOf(MakeOptimizer(context_, "adam", {}, {}, std::move(twice))),
            "optimizer 'adam': there are two rules for other parameters");
  // A schedule that raises the rate of Bop above 1.
  BareModel model;
  AddParameters(model);
  SetGradients(model, 0);
  auto optimizer = *MakeOptimizer(context_, "adam", {.learning_rate = 1e-3}, {},
                                  Rules(RuleFor(ParameterGroup::kQuantizedWeights, "bop", {.learning_rate = 0.5})));
  optimizer->set_learning_rate(3e-3);
  EXPECT_EQ(ErrorOf(optimizer->Step(model.parameters())), prefix + "learning_rate is 1.5, must be at most 1");
}

TEST(BoundsTest, ValuesAreClippedToThem) {
  ExecContext context({.threads = 1});
  BareModel model;
  Parameter& bits = model.Add("bits", {2, 4, 7.5f, 1.25f});
  bits.least = 1;
  bits.most = 8;
  auto optimizer = *MakeOptimizer(context, "sgd", {.learning_rate = 1});
  bits.gradient = BareModel::Vector({3, 1, -3, 0.125f});
  ASSERT_EQ(ErrorOf(optimizer->Step(model.parameters())), "ok");
  EXPECT_EQ(Values(bits.value), (std::vector<float>{1, 3, 8, 1.125f}));
  EXPECT_EQ(bits.at_clip, 2);
  bits.least = -std::numeric_limits<float>::infinity();
  bits.gradient = BareModel::Vector({3, 1, -3, 0.125f});
  ASSERT_EQ(ErrorOf(optimizer->Step(model.parameters())), "ok");
  EXPECT_EQ(Values(bits.value), (std::vector<float>{-2, 2, 8, 1}));
  EXPECT_EQ(bits.at_clip, 1);
}

// Of what has to stay inside its bounds, a value at a bound is an error, after the step was done.
TEST(BoundsTest, ValuesThatHaveToStayInside) {
  ExecContext context({.threads = 1});
  for (const float g : {0.5f, 1.0f, 3.0f, -std::numeric_limits<float>::max()}) {
    BareModel model;
    Parameter& step = model.Add("fc/weight/quantizer/step", {2, 1});
    step.least = 0;
    step.most = std::numeric_limits<float>::max();
    step.has_to_stay_inside = true;
    auto optimizer = *MakeOptimizer(context, "sgd", {.learning_rate = 1});
    step.gradient = BareModel::Vector({0, g});
    const std::string error = ErrorOf(optimizer->Step(model.parameters()));
    EXPECT_EQ(error, g == 0.5f ? "ok"
                               : "parameter 'fc/weight/quantizer/step': 1 of 2 values had to stay above 0 and below "
                                 "3.40282e+38 and did not at step 1. Try a lower learning rate than 1");
    EXPECT_EQ(optimizer->step_count(), 1);
    EXPECT_TRUE(step.gradient.is_null());
  }
}

}  // namespace
}  // namespace bitgrad
