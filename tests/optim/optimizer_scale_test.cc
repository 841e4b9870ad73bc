// The scales of a step: BinaryConnect's Glorot learning-rate scale, and clipping by the global norm.

#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/optim/optim_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(GlorotScaleTest, HasBinaryConnectsValues) {
  EXPECT_NEAR(GlorotScale(784, 1024), 34.718, 1e-3);
  EXPECT_NEAR(GlorotScale(1024, 1024), 36.950, 1e-3);
  EXPECT_NEAR(GlorotScale(1024, 10), 26.255, 1e-3);
  EXPECT_NEAR(GlorotScale(784, 4096), 57.038, 1e-3);
  EXPECT_NEAR(GlorotScale(9 * 256, 9 * 512), 67.88, 5e-3);
}

// The length of the first step for a gradient of 1, in units of the learning rate.
double FirstStep(const char* optimizer_name, bool glorot_scale, ParameterKind kind, int64_t fan_in, int64_t fan_out) {
  ExecContext context({.threads = 1});
  BareModel model;
  Parameter& weight = model.Add("weight", {0});
  weight.kind = kind;
  weight.fan_in = fan_in;
  weight.fan_out = fan_out;
  weight.gradient = BareModel::Vector({1});
  auto optimizer = MakeOptimizer(context, optimizer_name, {.learning_rate = 0x1p-10, .glorot_scale = glorot_scale});
  EXPECT_TRUE(optimizer.ok()) << optimizer.status();
  EXPECT_TRUE((*optimizer)->Step(model.parameters()).ok());
  return -weight.value.data<float>()[0] * 0x1p10;
}

TEST(GlorotScaleTest, MultipliesTheStepOfQuantizedWeights) {
  const double s = 34.718;
  constexpr auto kQuantized = ParameterKind::kQuantizedWeight;
  EXPECT_NEAR(FirstStep("adam", true, kQuantized, 784, 1024), s, 1e-3);
  EXPECT_NEAR(FirstStep("adamax", true, kQuantized, 784, 1024), s, 1e-3);
  EXPECT_NEAR(FirstStep("sgd", true, kQuantized, 784, 1024), s * s, 5e-2);
  EXPECT_NEAR(FirstStep("shift_adamax", true, kQuantized, 784, 1024), 32, 1e-3) << "a power of two";
  EXPECT_NEAR(FirstStep("shift_adamax_torch", true, kQuantized, 784, 1024), 0.8 * s, 1e-3);
}

TEST(GlorotScaleTest, IsForQuantizedWeightsOnly) {
  using enum ParameterKind;
  for (const UpdateRuleInfo& info : AllUpdateRules()) {
    if ((*info.make({}))->traits().binary_weights_only) continue;  // There are no steps to scale.
    // 1 / (1 - beta1) = 10, which the rounded rule takes for 8.
    const double unscaled = info.name == std::string("shift_adamax_torch") ? 0.8 : 1;
    EXPECT_NEAR(FirstStep(info.name, false, kQuantizedWeight, 784, 1024), unscaled, 1e-6) << info.name;
    for (const ParameterKind kind : {kOther, kWeight, kQuantizerVariable}) {
      EXPECT_NEAR(FirstStep(info.name, true, kind, 784, 1024), unscaled, 1e-6) << info.name;
    }
    EXPECT_NEAR(FirstStep(info.name, true, kQuantizedWeight, 0, 0), unscaled, 1e-6) << info.name;
    EXPECT_NEAR(FirstStep(info.name, true, kQuantizedWeight, 0, 9), unscaled, 1e-6) << info.name;
    EXPECT_NEAR(FirstStep(info.name, true, kQuantizedWeight, 9, 0), unscaled, 1e-6) << info.name;
  }
}

class NormTest : public ::testing::Test {
 protected:
  NormTest() {
    model_.Add("a", {0});
    model_.Add("b", {0});
    model_.Add("running", {0}).trainable = false;
    model_[0].gradient = BareModel::Vector({3});
    model_[1].gradient = BareModel::Vector({-4});
    model_[2].gradient = BareModel::Vector({1000});
  }

  void Step(const OptimizerOptions& options) {
    auto made = MakeOptimizer(context_, "sgd", options);
    ASSERT_TRUE(made.ok()) << made.status();
    std::unique_ptr<Optimizer> optimizer = std::move(made).value();
    ASSERT_TRUE(optimizer->Step(model_.parameters()).ok());
    EXPECT_EQ(optimizer->gradient_norm(), 5);  // Before clipping; without `running`.
  }

  ExecContext context_{{.threads = 1}};
  BareModel model_;
};

TEST_F(NormTest, ClipsOverAllParametersTogether) {
  Step({.learning_rate = 1, .max_gradient_norm = 1});
  EXPECT_FLOAT_EQ(model_[0].value.data<float>()[0], -0.6f);
  EXPECT_FLOAT_EQ(model_[1].value.data<float>()[0], 0.8f);
}

TEST_F(NormTest, LeavesSmallerGradientsAsTheyAre) {
  Step({.learning_rate = 1, .max_gradient_norm = 8});
  EXPECT_EQ(model_[0].value.data<float>()[0], -3);
  EXPECT_EQ(model_[1].value.data<float>()[0], 4);
}

TEST_F(NormTest, IsOffAtZero) {
  Step({.learning_rate = 1, .max_gradient_norm = 0});
  EXPECT_EQ(model_[0].value.data<float>()[0], -3);
}

TEST_F(NormTest, DoesNotScaleTheDecay) {
  model_[0].value = BareModel::Vector({10});
  model_[0].decays = true;
  Step({.learning_rate = 1, .weight_decay = 0.5, .max_gradient_norm = 1});
  EXPECT_FLOAT_EQ(model_[0].value.data<float>()[0], 10 - 0.6f - 5);
}

TEST(WeightDecayTest, IsForParametersThatDecay) {
  for (const bool decays : {false, true}) {
    ExecContext context({.threads = 1});
    BareModel model;
    model.Add("w", {8}).decays = decays;
    model[0].gradient = BareModel::Vector({0});
    auto optimizer = MakeOptimizer(context, "sgd", {.learning_rate = 0.5, .weight_decay = 0.25});
    ASSERT_TRUE(optimizer.ok()) << optimizer.status();
    ASSERT_TRUE((*optimizer)->Step(model.parameters()).ok());
    EXPECT_EQ(model[0].value.data<float>()[0], decays ? 7 : 8);
  }
}

}  // namespace
}  // namespace bitgrad
