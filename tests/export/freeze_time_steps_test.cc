// Frozen recurrent nets that read an image in time steps give the graph's logits: the graph unrolls the steps, the
// packed model runs one of them as often as there are.

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/models/recurrent_net.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;
using FreezeTimeStepsTest = OnTestDevice<testing::Test>;

constexpr int64_t kTimeSteps = 6, kFeatures = 9, kClasses = 7;

Quantizer Q(const std::string& text) { return *ParseQuantizer(text); }

RecurrentNetOptions NetOptions(RecurrentCell cell, const std::string& activation, const std::string& weight) {
  return {.cell = cell,
          .hidden = {33, 20},
          .classes = kClasses,
          .image_steps = kTimeSteps,
          .step_features = kFeatures,
          .input = Q(activation),
          .state = Q(activation),
          .input_weight = Q(weight),
          .hidden_weight = Q(weight),
          .output = Q(activation),
          .output_weight = Q(weight)};
}

TEST_F(FreezeTimeStepsTest, EveryCellAndQuantizer) {
  std::mt19937 random(1);
  ExecContext context({.threads = 2});
  struct Case {
    RecurrentCell cell;
    const char *activation, *weight;
  };
  for (const Case& c : std::vector<Case>{
           {RecurrentCell::kLstm, "k_bit(4)", "max_abs(4, per_output)"},
           {RecurrentCell::kLstm, "k_bit(8)", "k_bit(2)"},
           {RecurrentCell::kLstm, "sign", "xnor"},
           {RecurrentCell::kGru, "k_bit(4)", "max_abs(4)"},
           {RecurrentCell::kRnnTanh, "k_bit(3)", "ternary(0.5)"},
           {RecurrentCell::kRnnRelu, "dorefa_activation(4)", "k_bit(2)"},
       }) {
    SCOPED_TRACE(absl::StrCat(static_cast<int>(c.cell), " ", c.activation, " ", c.weight));
    ParameterStore store(1);
    RecurrentNet model(store.Root(), NetOptions(c.cell, c.activation, c.weight));
    ASSERT_TRUE(store.status().ok()) << store.status();
    RandomizeBatchNorms(store, random);
    const auto frozen = ExpectBitEqual(context, model, {1, kTimeSteps * kFeatures}, ImagesOnDevice(50, 3), random);
    ASSERT_NE(frozen, nullptr);
    const packed::Header& header = frozen->packed->header();
    EXPECT_EQ(frozen->packed->input(), Shape({kTimeSteps, kFeatures}));
    EXPECT_EQ(header.class_count(), kClasses);
    ASSERT_EQ(header.states_size(), c.cell == RecurrentCell::kLstm ? 4 : 2);
    EXPECT_EQ(header.states(0).width(), 33);
    // Nothing is unrolled, and the output layer runs once.
    for (const LayerCost& layer : CostOf(*frozen->packed).layers) {
      if (layer.weights.empty()) continue;
      EXPECT_EQ(layer.runs, layer.layer == "output" ? 1 : kTimeSteps) << layer.layer;
    }
  }
}

// The numbers of quantizers that are learned and tracked belong to every time step.
TEST_F(FreezeTimeStepsTest, LearnedNumbersOfActivations) {
  std::mt19937 random(2);
  ExecContext context({.threads = 1});
  RecurrentNetOptions options = NetOptions(RecurrentCell::kLstm, "k_bit(4)", "lsq(4, per_output)");
  options.input = Q("lsq(3)");
  options.output = Q("k_bit(2, scale=learned)");
  options.gate = Q("dorefa_activation(4)");
  ParameterStore store(1);
  RecurrentNet model(store.Root(), options);
  ASSERT_TRUE(store.status().ok()) << store.status();
  RandomizeBatchNorms(store, random);
  ASSERT_NE(ExpectBitEqual(context, model, {1, kTimeSteps * kFeatures}, ImagesOnDevice(20, 3), random), nullptr);
}

// In float both sum in an order of their own.
TEST_F(FreezeTimeStepsTest, FloatsAreNear) {
  std::mt19937 random(4);
  ExecContext context({.threads = 2});
  ParameterStore store(1);
  RecurrentNet model(store.Root(), NetOptions(RecurrentCell::kGru, "identity", "identity"));
  const auto frozen = FreezeToMemory(context, model, Shape({1, kTimeSteps * kFeatures}));
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  const Tensor x = RandomInputs({ImagesOnDevice(20, 3), kTimeSteps * kFeatures}, random);
  const Tensor graph = GraphLogits(context, model, x);
  const auto packed = (*frozen)->interpreter->Run(x.matrix<float>());
  ASSERT_TRUE(packed.ok()) << packed.status();
  ASSERT_EQ(packed->shape(), graph.shape());
  for (int64_t i = 0; i < graph.num_elements(); ++i) {
    EXPECT_NEAR(packed->data<float>()[i], graph.data<float>()[i], 1e-5) << i;
  }
}

// Any function of one time step.
class StepModel final : public Model {
 public:
  explicit StepModel(int64_t steps, bool leaves_state) : steps_(steps), leaves_state_(leaves_state) {}
  int64_t time_steps() const override { return steps_; }
  Var Forward(const Var& x) override {
    if (!leaves_state_) return Tanh(x);
    const Var before = x.tape()->State("sum", x.shape());
    const Var sum = Add(x, before);
    x.tape()->SetNextState("sum", sum);
    return Tanh(sum);
  }

 private:
  int64_t steps_;
  bool leaves_state_;
};

// What no layer of models/layers makes: the tanh of a sum over time.
TEST_F(FreezeTimeStepsTest, AModelOfOnesOwn) {
  ExecContext context({.threads = 1});
  StepModel model(3, true);
  const auto frozen = FreezeToMemory(context, model, Shape({1, 6}));
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  const Tensor x = Tensor::Of<float>({2, 6}, {1, 2, 0.5f, -2, -1, 0.25f, 0, 0, 0, 0, 0, -0.5f});
  const auto y = (*frozen)->interpreter->Run(x.matrix<float>());
  ASSERT_TRUE(y.ok()) << y.status();
  const float sums[] = {0.5f, 0.25f, 0, -0.5f};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(y->data<float>()[i], std::tanh(sums[i]), 1e-6f) << i;
}

TEST_F(FreezeTimeStepsTest, WhatCannotBeFrozenIsNamed) {
  ExecContext context({.threads = 1});
  StepModel three(3, true), forgets(3, false);
  EXPECT_THAT(std::string(FreezeToMemory(context, three, Shape({1, 7})).status().message()),
              HasSubstr("the example [1, 7] has to be [batch, 3 * n], for the model reads it in 3 time steps"));
  EXPECT_THAT(std::string(FreezeToMemory(context, three, Shape({1, 3, 1})).status().message()),
              HasSubstr("[1, 3, 1] has to be [batch, 3 * n]"));
  EXPECT_THAT(std::string(FreezeToMemory(context, forgets, Shape({1, 6})).status().message()),
              HasSubstr("input.time_steps: there are no states"));
  // A sequence of one step is no loop, and has an op that packed models do not have.
  RecurrentNetOptions options = NetOptions(RecurrentCell::kLstm, "k_bit(4)", "k_bit(4)");
  options.image_steps = 1;
  ParameterStore store(1);
  RecurrentNet one(store.Root(), options);
  EXPECT_THAT(std::string(FreezeToMemory(context, one, Shape({1, kFeatures})).status().message()),
              HasSubstr("layer 'steps': stack is not in the packed format"));
}

}  // namespace
}  // namespace bitgrad
