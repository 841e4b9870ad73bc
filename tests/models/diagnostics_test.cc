// What is observed of training runs: steps, weights, channels, answers.

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/models/diagnostics/answer_diagnostics.h"
#include "bitgrad/models/diagnostics/channel_diagnostics.h"
#include "bitgrad/models/diagnostics/step_diagnostics.h"
#include "bitgrad/models/diagnostics/weight_diagnostics.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using diagnostics::Part;
using testing::ElementsAre;
using testing::ElementsAreArray;

Tensor Floats(const Shape& shape, const std::vector<float>& values) {
  Tensor tensor(shape, DType::kFloat32);
  for (size_t i = 0; i < values.size(); ++i) tensor.mutable_data<float>()[i] = values[i];
  return tensor;
}

// ---- Steps ---------------------------------------------------------------------------------------

// A parameter whose weights a test sets itself, as if they were a step's.
class StepDiagnosticsTest : public testing::Test {
 protected:
  StepDiagnosticsTest() {
    weight_.name = "hidden/weight";
    weight_.kind = ParameterKind::kQuantizedWeight;
  }

  void Step(const std::vector<float>& weights, const std::vector<float>& gradients = {}) {
    Tape tape(context_);
    steps_.Begin(tape);
    weight_.value = Floats({1, static_cast<int64_t>(weights.size())}, weights);
    if (!gradients.empty()) weight_.gradient = Floats(weight_.value.shape(), gradients);
    Parameter* const parameters[] = {&weight_};
    steps_.BeforeUpdate(parameters);
    weight_.DropGradient();
    steps_.AfterUpdate(parameters);
  }
  diagnostics::Layer Finish() {
    diagnostics::Epoch epoch;
    steps_.FinishEpoch(epoch);
    EXPECT_LE(epoch.layers_size(), 1);
    return epoch.layers_size() == 0 ? diagnostics::Layer() : epoch.layers(0);
  }

  ExecContext context_{{.threads = 1}};
  StepDiagnostics steps_{context_};
  Parameter weight_;
};

TEST_F(StepDiagnosticsTest, CountsSignsThatFlipBack) {
  // The first weight changes in each of three steps, the second once, the third never.
  Step({1, 1, 1});
  Step({-1, -1, 1});
  Step({1, -1, 1});
  Step({-1, -2, 3});
  const diagnostics::Layer layer = Finish();
  EXPECT_EQ(layer.layer(), "hidden");
  EXPECT_DOUBLE_EQ(layer.flipped_back(), 2.0 / 4.0) << "4 changes, of which 2 undo one of the steps before";
}

TEST_F(StepDiagnosticsTest, ForgetsFlipsOfLongAgo) {
  const auto flipped_back_after = [&](int pause) {
    Step({1, 1});
    Step({-1, 1});
    for (int i = 1; i < pause; ++i) Step({-1, 1});
    Step({1, 1});
    const double share = Finish().flipped_back();
    // A long rest, so that the next one begins anew.
    for (int i = 0; i < 40; ++i) Step({1, 1});
    Finish();
    return share;
  };
  EXPECT_EQ(flipped_back_after(StepDiagnostics::kFlipBackSteps), 0.5);
  EXPECT_EQ(flipped_back_after(StepDiagnostics::kFlipBackSteps + 1), 0.0);
}

TEST_F(StepDiagnosticsTest, FlipsAreFollowedFromEpochToEpoch) {
  Step({1, 1});
  Step({-1, 1});
  EXPECT_EQ(Finish().flipped_back(), 0.0);
  Step({1, 1});
  EXPECT_EQ(Finish().flipped_back(), 1.0);
  Step({1, 1});
  EXPECT_FALSE(Finish().has_flipped_back()) << "no sign has changed";
}

// Of a large weight only blocks are followed; they reach its first and last elements.
TEST_F(StepDiagnosticsTest, SamplesLargeWeightsEvenly) {
  std::vector<float> weights(100000, 1.0f);
  Step(weights);
  for (float& w : weights) w = -1;
  Step(weights);
  weights.front() = weights.back() = 1;
  Step(weights);
  const double share = Finish().flipped_back();
  EXPECT_GT(share, 0);
  // 2 of them flip back beside one flip of each that is followed: 1536 of 100000.
  EXPECT_NEAR(share, 2.0 / (1536 + 2), 1e-4);
}

TEST_F(StepDiagnosticsTest, MeasuresGradientNorms) {
  Step({1, 1, 1}, {3, 4, 0});
  for (int i = 1; i < 32; ++i) Step({1, 1, 1}, {100, 100, 100});  // not looked at
  Step({1, 1, 1}, {0, 0, 5 * std::sqrt(7.0f)});
  EXPECT_NEAR(Finish().gradient_norm(), std::sqrt((25.0 + 175.0) / 2), 1e-5);
  Step({1, 1, 1}, {3, 4, 0});
  EXPECT_EQ(Finish().gradient_norm(), 5) << "each epoch has its own";
}

TEST_F(StepDiagnosticsTest, SumsOfSquaresHaveEveryElement) {
  std::vector<float> gradients(10007);
  double sum = 0;
  for (size_t i = 0; i < gradients.size(); ++i) {
    gradients[i] = static_cast<float>(i % 13) - 6;
    sum += double{gradients[i]} * double{gradients[i]};
  }
  Step(std::vector<float>(gradients.size(), 1.0f), gradients);
  EXPECT_NEAR(Finish().gradient_norm(), std::sqrt(sum), 1e-6 * std::sqrt(sum));
}

TEST_F(StepDiagnosticsTest, TellsWhereTimeAndMemoryOfAStepGo) {
  Parameter w;
  w.name = "fc/weight";
  w.kind = ParameterKind::kWeight;
  w.value = Floats({8, 16}, std::vector<float>(128, 0.5f));
  Parameter* const parameters[] = {&w};
  {
    Tape tape(context_);
    steps_.Begin(tape);
    const Var x = tape.Input(Floats({64, 16}, std::vector<float>(1024, 1.0f)));
    const auto loss = [&] {
      const Tape::LayerScope layer(tape, "fc");
      return Sum(Relu(Linear(x, tape.Use(w))));
    }();
    ASSERT_TRUE(tape.Backward(loss).ok()) << tape.status();
    steps_.BeforeUpdate(parameters);
    w.DropGradient();
    steps_.AfterUpdate(parameters);
  }
  diagnostics::Epoch epoch;
  steps_.FinishEpoch(epoch);
  std::vector<std::string> found;
  double sum = 0;
  for (const Part& part : epoch.parts()) {
    found.push_back(part.layer() + ":" + part.op() + ":" + Part::Phase_Name(part.phase()));
    EXPECT_GE(part.seconds(), 0);
    sum += part.seconds();
    if (part.op() == "linear" && part.phase() == Part::FORWARD) {
      EXPECT_EQ(part.held_bytes(), 64 * 8 * 4);
    }
  }
  EXPECT_THAT(found,
              ElementsAre(":input:FORWARD", "fc:parameter:FORWARD", "fc:linear:FORWARD", "fc:relu:FORWARD",
                          "fc:sum:FORWARD", "fc:sum:BACKWARD", "fc:relu:BACKWARD", "fc:linear:BACKWARD", "::UPDATE"));
  EXPECT_GT(sum, 0);
  EXPECT_LE(sum, epoch.step_seconds());
  EXPECT_GE(epoch.step_bytes(), 64 * 8 * 4);
}

// ---- Answers -------------------------------------------------------------------------------------

TEST(AnswerDiagnosticsTest, CountsConfusionsAndKeepsTheWorstMistakes) {
  AnswerDiagnostics answers(3);
  const std::vector<float> first = {2, 1, 0,  // right
                                    0, 0, 4,  // wrong, and sure of it
                                    1, 2, 1};
  answers.Add({first.data(), 3, 3}, {0, 0, 2});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> second = {0, nan, 0,   // says nothing
                                     5, 5,   0};  // of equals the first: right
  answers.Add({second.data(), 2, 3}, {1, 0});
  diagnostics::Epoch epoch;
  answers.Finish(epoch);
  EXPECT_THAT(epoch.confusion(), ElementsAre(2, 0, 1,  //
                                             0, 0, 0,  //
                                             0, 1, 0));
  const std::vector<diagnostics::Mistake> worst = answers.Worst();
  ASSERT_EQ(worst.size(), 2u);
  EXPECT_EQ(worst[0].example(), 1);
  EXPECT_EQ(worst[0].label(), 0);
  EXPECT_EQ(worst[0].answer(), 2);
  EXPECT_NEAR(worst[0].answer_share(), std::exp(4.0) / (std::exp(4.0) + 2), 1e-12);
  EXPECT_NEAR(worst[0].label_share(), 1 / (std::exp(4.0) + 2), 1e-12);
  EXPECT_EQ(worst[1].example(), 2);
}

TEST(AnswerDiagnosticsTest, KeepsNoMoreMistakesThanAPageShows) {
  AnswerDiagnostics answers(2);
  for (int i = 0; i < 100; ++i) {
    const std::vector<float> logits = {0, static_cast<float>((i * 37) % 100)};
    answers.Add({logits.data(), 1, 2}, {0});
  }
  const auto worst = answers.Worst();
  ASSERT_EQ(worst.size(), AnswerDiagnostics::kMistakes);
  for (size_t k = 0; k < worst.size(); ++k) EXPECT_EQ((worst[k].example() * 37) % 100, 99 - static_cast<int>(k));
}

TEST(AnswerDiagnosticsTest, ManyClassesHaveNoMatrix) {
  AnswerDiagnostics answers(101);
  std::vector<float> logits(101, 0.0f);
  answers.Add({logits.data(), 1, 101}, {5});
  diagnostics::Epoch epoch;
  answers.Finish(epoch);
  EXPECT_EQ(epoch.confusion_size(), 0);
  EXPECT_EQ(answers.Worst().size(), 1u);
}

// ---- Weights -------------------------------------------------------------------------------------

TEST(WeightDiagnosticsTest, HistogramsHaveEveryFiniteValue) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {-1, -0.76f, -0.5f, 0, 0.49f, 0.5f, 1, 3, -2, infinity, -infinity, NAN};
  const diagnostics::Histogram histogram = HistogramOf(values, -1, 1, 4);
  EXPECT_EQ(histogram.low(), -1);
  EXPECT_EQ(histogram.high(), 1);
  EXPECT_THAT(histogram.counts(), ElementsAre(3, 1, 2, 3));
}

TEST(WeightDiagnosticsTest, HistogramsOfWeightsReachFromClipToClip) {
  ExecContext context({.threads = 1});
  Parameter clipped, open, zero, bias;
  clipped.name = "a/weight";
  clipped.kind = ParameterKind::kQuantizedWeight;
  clipped.value = Floats({2, 2}, {-1, 0.2f, 0.3f, 1});
  clipped.ClipTo(1);
  open.name = "b/weight";
  open.kind = ParameterKind::kWeight;
  open.value = Floats({1, 3}, {-0.5f, 4, 1});
  zero.name = "c/weight";
  zero.kind = ParameterKind::kWeight;
  zero.value = Floats({1, 2}, {0, 0});
  bias.name = "a/bias";
  bias.value = Floats({2}, {1, 2});
  Parameter* const parameters[] = {&clipped, &bias, &open, &zero};
  diagnostics::Epoch epoch;
  DescribeWeights(context, parameters, epoch);
  ASSERT_EQ(epoch.layers_size(), 3);
  EXPECT_EQ(epoch.layers(0).layer(), "a");
  EXPECT_EQ(epoch.layers(0).weights().low(), -1);
  EXPECT_EQ(epoch.layers(0).weights().high(), 1);
  EXPECT_EQ(epoch.layers(0).weights().counts(0), 1);
  EXPECT_EQ(epoch.layers(0).weights().counts(39), 1);
  EXPECT_EQ(epoch.layers(1).weights().low(), -4);
  EXPECT_EQ(epoch.layers(1).weights().high(), 4);
  EXPECT_EQ(epoch.layers(2).weights().counts(20), 2);
}

TEST(WeightDiagnosticsTest, FirstFiltersArePictures) {
  ExecContext context({.threads = 1});
  Parameter dense;
  dense.name = "fc/weight";
  dense.kind = ParameterKind::kQuantizedWeight;
  dense.value = Floats({2, 4}, {-2, 0, 1, 2, 0, 0, 0, 0});
  Parameter* const parameters[] = {&dense};
  const auto pictures = FirstFilters(context, parameters, 2, 2, 1);
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].height(), 2);
  EXPECT_EQ(pictures[0].channels(), 1);
  const std::vector<uint8_t> expected = {0, 128, 191, 255};
  EXPECT_THAT(std::vector<uint8_t>(pictures[0].pixels().begin(), pictures[0].pixels().end()),
              ElementsAreArray(expected));
  EXPECT_THAT(FirstFilters(context, parameters, 3, 3, 1), testing::IsEmpty()) << "it does not read such images";
  Parameter conv;
  conv.name = "conv/weight";
  conv.kind = ParameterKind::kWeight;
  conv.value = Floats({1, 2, 1, 3}, {1, 1, 1, -1, -1, -1});
  Parameter* const convolutions[] = {&conv};
  const auto filters = FirstFilters(context, convolutions, 32, 32, 3);
  ASSERT_EQ(filters.size(), 1u);
  EXPECT_EQ(filters[0].height(), 2);
  EXPECT_EQ(filters[0].width(), 1);
  EXPECT_EQ(filters[0].pixels().size(), 6u);
}

// ---- Channels ------------------------------------------------------------------------------------

// Four hidden units, read by a layer with binary inputs: one is always positive, one always negative, two depend on x.
class FourUnits final : public Model {
 public:
  FourUnits() {
    first_.name = "first/weight";
    first_.value = Floats({4, 2}, {0, 1, 0, -1, 1, 0, -1, 0});
    second_.name = "second/weight";
    second_.value = Floats({2, 4}, std::vector<float>(8, 1.0f));
  }
  Var Forward(const Var& x) override {
    Tape& tape = *x.tape();
    Var h;
    {
      const Tape::LayerScope layer(tape, "first");
      h = Linear(Quantize(x, Sign()), tape.Use(first_));
      if (relu) h = Relu(h);
    }
    const Tape::LayerScope layer(tape, "second");
    return Linear(relu ? h : Quantize(h, Sign()), tape.Use(second_));
  }
  bool relu = false;

 private:
  Parameter first_, second_;
};

Batch FourExamples() {
  Batch batch;
  batch.images = Floats({4, 2}, {1, 1, -1, 1, 1, 1, -1, 1});
  batch.labels = Tensor({4}, DType::kInt32);
  for (int i = 0; i < 4; ++i) batch.labels.mutable_data<int32_t>()[i] = i % 2;
  return batch;
}

TEST(ChannelDiagnosticsTest, FindsChannelsThatSayNothing) {
  ExecContext context({.threads = 1});
  FourUnits model;
  const auto task = Classification({.features = 2, .classes = 2});
  diagnostics::Epoch epoch;
  ASSERT_TRUE(DescribeChannels(context, model, *task, FourExamples(), epoch).ok());
  ASSERT_EQ(epoch.layers_size(), 1) << "the quantizer of the network's input is none of them: " << epoch.DebugString();
  EXPECT_EQ(epoch.layers(0).layer(), "second");
  EXPECT_EQ(epoch.layers(0).channels(), 4);
  EXPECT_EQ(epoch.layers(0).constant_channels(), 0.5);
  EXPECT_EQ(epoch.layers(0).dead_channels(), 0.0) << "a sign is never 0";
}

TEST(ChannelDiagnosticsTest, AReluUnitThatIsAlwaysZeroIsDead) {
  ExecContext context({.threads = 1});
  FourUnits model;
  model.relu = true;
  const auto task = Classification({.features = 2, .classes = 2});
  diagnostics::Epoch epoch;
  ASSERT_TRUE(DescribeChannels(context, model, *task, FourExamples(), epoch).ok());
  ASSERT_EQ(epoch.layers_size(), 1);
  EXPECT_EQ(epoch.layers(0).layer(), "first");
  EXPECT_EQ(epoch.layers(0).constant_channels(), 0.5);
  EXPECT_EQ(epoch.layers(0).dead_channels(), 0.25);
}

}  // namespace
}  // namespace bitgrad
