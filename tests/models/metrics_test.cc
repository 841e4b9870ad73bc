// Metrics against counts by hand, the JSON lines.

#include "bitgrad/models/training/metrics.h"

#include <limits>

#include "absl/strings/str_split.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

StepResult StepOf(double loss, int64_t errors, int64_t examples, const Tape& tape) {
  return {.examples = examples,
          .loss = static_cast<float>(loss),
          .metrics = {{kErrors, static_cast<double>(errors), examples}},
          .counters = tape.counters()};
}

// One step of SGD with rate 1 on y = x w^T: the gradient of w is the sum of the inputs' signs.
TEST(MetricsTest, AStepCountedByHand) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  Dense dense(store.Root() / "block" / "fc", {.in = 4, .out = 1, .input = Sign(), .weight = Sign()});
  Parameter& weight = *store.Find("block/fc/weight");
  const auto optimizer = *MakeOptimizer(context, "sgd", {.learning_rate = 0.25});
  checkpoint::PartialSums sums;
  // Inside the window |x| <= 1: all but -2, 1.5 and the number just above 1, so 5 of 8.
  const float x[] = {1.0f, -2.0f, 1.5f, -1.0f, 0.5f, -0.5f, std::nextafter(1.0f, 2.0f), 0.0f};
  // Signs: + - + - and + - + +; their sums, the gradient: 2 -2 2 0.
  const float w[] = {0.5f, -0.25f, -0.75f, -1.0f};
  // After the step, clipped: 0 (no flip: sign(0) is +1), 0.25 (flip), -1 (at the clip), -1 (at the
  // clip).
  std::copy(std::begin(w), std::end(w), weight.value.mutable_data<float>());
  const auto step = [&](double loss, int64_t errors) {
    Tape tape(context);
    ASSERT_TRUE(tape.Backward(Sum(dense(tape.Differentiable(Tensor::Of<float>({2, 4}, x))))).ok());
    ASSERT_TRUE(optimizer->Step(store.parameters()).ok());
    AddStep(StepOf(loss, errors, 2, tape), store, sums);
  };
  step(3.0, 1);
  EXPECT_THAT(weight.value.span<float>(), testing::ElementsAre(0, 0.25f, -1, -1));
  checkpoint::EpochMetrics metrics = Summarize(sums);
  EXPECT_EQ(metrics.loss(), 3.0);
  EXPECT_EQ(metrics.train_error(), 0.5);
  ASSERT_EQ(metrics.layers_size(), 1);
  EXPECT_EQ(metrics.layers(0).layer(), "block/fc");
  EXPECT_EQ(metrics.layers(0).sign_flips(), 1.0 / 4);
  EXPECT_EQ(metrics.layers(0).at_clip(), 2.0 / 4);
  EXPECT_EQ(metrics.layers(0).inside_window(), 5.0 / 8);

  // The second step: -0.5 (flip), 0.75, -1, -1. Flips add up over steps; at the clip counts the
  // last one.
  step(1.0, 0);
  EXPECT_THAT(weight.value.span<float>(), testing::ElementsAre(-0.5f, 0.75f, -1, -1));
  metrics = Summarize(sums);
  EXPECT_EQ(metrics.loss(), 2.0);
  EXPECT_EQ(metrics.train_error(), 0.25);
  EXPECT_EQ(metrics.layers(0).sign_flips(), 2.0 / 8);
  EXPECT_EQ(metrics.layers(0).at_clip(), 2.0 / 4);
  EXPECT_EQ(metrics.layers(0).inside_window(), 10.0 / 16);
}

TEST(MetricsTest, LayersWithoutQuantizersAreLeftOut) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  Dense dense(store.Root() / "fc", {.in = 4, .out = 1});
  checkpoint::PartialSums sums;
  Tape tape(context);
  AddStep(StepOf(1, 0, 1, tape), store, sums);
  EXPECT_EQ(Summarize(sums).layers_size(), 0);
  // Nothing at all is no division by zero.
  EXPECT_EQ(Summarize(checkpoint::PartialSums()).loss(), 0);
}

checkpoint::EpochMetrics SomeMetrics(int epoch) {
  checkpoint::EpochMetrics metrics;
  metrics.set_epoch(epoch);
  metrics.set_loss(0.125);
  metrics.set_learning_rate(0.003);
  metrics.set_train_error(0.0512);
  metrics.set_seconds(2.25);
  metrics.set_examples_per_second(22222);
  auto* first = metrics.add_layers();
  first->set_layer("hidden1");
  first->set_sign_flips(0.00123);
  first->set_at_clip(0.5);
  auto* second = metrics.add_layers();
  second->set_layer("hidden2");
  second->set_inside_window(0.75);
  return metrics;
}

TEST(MetricsTest, TheEpochForPeople) {
  const std::string text = FormatEpoch(SomeMetrics(3), 20);
  EXPECT_THAT(text, AllOf(HasSubstr("epoch 3/20  loss 0.12500  lr 0.003"), HasSubstr("train 5.12%"),
                          HasSubstr("test 0.00%"), HasSubstr("2.2 s, 22222 examples/s"),
                          HasSubstr("hidden1     signs flipped per step 0.123%  latent weights at the clip 50.0%\n"),
                          HasSubstr("hidden2     activations in the window 75.0%\n"), EndsWith("\n")));
}

// The penalty is a mean over examples like the loss.
TEST(MetricsTest, APenaltyIsToldWhereThereIsOne) {
  ParameterStore store(1);
  checkpoint::PartialSums sums;
  AddStep({.examples = 3, .loss = 2, .penalty = 0.5f}, store, sums);
  AddStep({.examples = 1, .loss = 4, .penalty = 1.5f}, store, sums);
  const checkpoint::EpochMetrics metrics = Summarize(sums);
  EXPECT_EQ(metrics.loss(), 2.5);
  EXPECT_EQ(metrics.penalty(), 0.75);
  EXPECT_THAT(FormatEpoch(metrics, 2), HasSubstr("loss 2.50000  of it penalty 0.75000  lr "));
  EXPECT_FALSE(Summarize(checkpoint::PartialSums()).has_penalty());
  EXPECT_THAT(FormatEpoch(SomeMetrics(1), 2), Not(HasSubstr("penalty")));
}

// Shares of errors are in percent, counts have all their digits.
TEST(MetricsTest, ErrorsAndCountsOfTheModel) {
  checkpoint::EpochMetrics metrics;
  AddValues({{"", "hardened_test_error", 0.12345, ValueDisplay::kShare},
             {"", "zero_kernels", 1234567},
             {"", "one_opt", 0, ValueDisplay::kYesNo}},
            metrics);
  EXPECT_EQ(FormatValues(metrics), " hardened_test_error=12.35% zero_kernels=1234567 one_opt=no");
}

// What a model tells of itself and of its layers, known ones and others.
TEST(MetricsTest, ValuesOfTheModel) {
  checkpoint::EpochMetrics metrics = SomeMetrics(1);
  EXPECT_EQ(FormatValues(metrics), "");
  AddValues({{"hidden1", "weight_bits", 3.25},
             {"", "average_weight_bits", 3.125},
             {"conv9", "weight_bits", 3},
             {"hidden1", "activation_bits", 4},
             {"", "average_activation_bits", 4.0}},
            metrics);
  EXPECT_EQ(FormatValues(metrics), " average_weight_bits=3.125 average_activation_bits=4");
  EXPECT_THAT(FormatEpoch(metrics, 20),
              AllOf(HasSubstr("test 0.00%  average_weight_bits=3.125 average_activation_bits=4  2.2 s"),
                    HasSubstr("at the clip 50.0%  weight_bits=3.25  activation_bits=4\n"),
                    HasSubstr("    conv9       weight_bits=3\n")));
  const std::string path = NewDirectory() + "/metrics.jsonl";
  metrics.mutable_values(0)->set_value(std::numeric_limits<double>::quiet_NaN());
  ASSERT_TRUE(MetricsFile(path).Append(metrics).ok());
  const std::string json = ReadFile(path);
  EXPECT_THAT(json, AllOf(HasSubstr("\"values\":[{\"name\":\"average_weight_bits\",\"value\":null},"
                                    "{\"name\":\"average_activation_bits\",\"value\":4}]"),
                          HasSubstr("\"values\":[{\"name\":\"weight_bits\",\"value\":3.25},")));
  const std::string without = NewDirectory() + "/metrics.jsonl";
  ASSERT_TRUE(MetricsFile(without).Append(SomeMetrics(1)).ok());
  EXPECT_THAT(ReadFile(without), AllOf(Not(HasSubstr("values")), Not(HasSubstr("penalty"))));
}

// A metric that is no count of errors, and batches of other sizes.
TEST(MetricsTest, ANegativeLogLikelihoodIsAMeanOverTokens) {
  ParameterStore store(1);
  checkpoint::PartialSums sums;
  AddStep({.examples = 5, .loss = 3, .metrics = {{"nll", 60, 30}}}, store, sums);
  AddStep({.examples = 5, .loss = 1, .metrics = {{"nll", 20, 10}}}, store, sums);
  EXPECT_EQ(sums.errors(), 0);
  const checkpoint::EpochMetrics metrics = Summarize(sums);
  EXPECT_EQ(metrics.train_error(), 2);
  EXPECT_EQ(metrics.loss(), 2.5);
}

TEST(MetricsTest, PerplexitiesAndBitsPerCharacter) {
  checkpoint::EpochMetrics metrics = SomeMetrics(3);
  metrics.set_train_error(std::log(80.25));
  metrics.set_valid_error(std::log(2.0));
  metrics.set_test_error(std::numeric_limits<double>::quiet_NaN());
  metrics.mutable_layers(0)->set_layer("train_error");
  EXPECT_THAT(FormatEpoch(metrics, 20, MetricDisplay::kPerplexity),
              AllOf(HasSubstr("lr 0.003  perplexity: train 80.25 valid 2.00 test nan  2.2 s, 22222 tokens/s\n")));
  EXPECT_THAT(FormatEpoch(metrics, 20, MetricDisplay::kBitsPerCharacter),
              AllOf(HasSubstr("  bpc: train 6.3264 valid 1.0000 test nan  2.2 s, 22222 characters/s\n")));
  EXPECT_EQ(FormatFinal(metrics, MetricDisplay::kPerplexity),
            "train_perplexity=80.25 valid_perplexity=2.00 test_perplexity=nan");
  EXPECT_EQ(FormatFinal(metrics, MetricDisplay::kBitsPerCharacter), "train_bpc=6.3264 valid_bpc=1.0000 test_bpc=nan");
  EXPECT_EQ(FormatFinal(SomeMetrics(1), MetricDisplay::kErrorPercent),
            "train_error=5.12% valid_error=0.00% test_error=0.00%");
  const std::string path = NewDirectory() + "/metrics.jsonl";
  MetricsFile file(path, MetricDisplay::kPerplexity);
  ASSERT_TRUE(file.Append(metrics).ok());
  EXPECT_THAT(ReadFile(path), AllOf(HasSubstr("\"valid_perplexity\":2,"), HasSubstr("\"test_perplexity\":null,"),
                                    HasSubstr("\"layer\":\"train_error\""), Not(HasSubstr("error\":"))));
  file.set_display(MetricDisplay::kBitsPerCharacter);
  ASSERT_TRUE(file.Append(metrics).ok());
  EXPECT_THAT(ReadFile(path), HasSubstr("\"valid_bpc\":1,"));
}

TEST(MetricsFileTest, JsonLinesThatParse) {
  const std::string path = NewDirectory() + "/metrics.jsonl";
  MetricsFile file(path);
  google::protobuf::RepeatedPtrField<checkpoint::EpochMetrics> done;
  *done.Add() = SomeMetrics(1);
  ASSERT_TRUE(file.Begin(done).ok());
  checkpoint::EpochMetrics without_validation = SomeMetrics(2);
  without_validation.set_valid_error(std::numeric_limits<double>::quiet_NaN());
  ASSERT_TRUE(file.Append(without_validation).ok());
  ASSERT_TRUE(file.Append(SomeMetrics(3)).ok());
  const std::vector<std::string> lines = absl::StrSplit(ReadFile(path), '\n');
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[3], "");
  for (int i = 0; i < 3; ++i) {
    checkpoint::EpochMetrics parsed;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(lines[i], &parsed).ok()) << lines[i];
    EXPECT_EQ(parsed.DebugString(), SomeMetrics(i + 1).DebugString());
    EXPECT_THAT(lines[i], AllOf(HasSubstr("\"train_error\":0.0512"), HasSubstr("\"learning_rate\":0.003"),
                                HasSubstr("\"test_error\":0"), HasSubstr("\"sign_flips\":0.00123")));
  }
  // What is not a number is null, not a text.
  EXPECT_THAT(lines[0], HasSubstr("\"valid_error\":0,"));
  EXPECT_THAT(lines[1], HasSubstr("\"valid_error\":null,"));
  // A new run begins the file anew.
  ASSERT_TRUE(file.Begin({}).ok());
  EXPECT_EQ(ReadFile(path), "");
}

TEST(MetricsFileTest, NumbersThatAreNotFiniteAreNull) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  checkpoint::EpochMetrics metrics = SomeMetrics(1);
  metrics.set_loss(kInfinity);
  metrics.set_train_error(-kInfinity);
  metrics.mutable_layers(0)->set_sign_flips(kNan);
  metrics.mutable_layers(1)->set_layer("NaN");  // a name
  const std::string path = NewDirectory() + "/metrics.jsonl";
  ASSERT_TRUE(MetricsFile(path).Append(metrics).ok());
  const std::string json = ReadFile(path);
  EXPECT_THAT(json,
              AllOf(HasSubstr("\"loss\":null,"), HasSubstr("\"train_error\":null,"), HasSubstr("\"sign_flips\":null,"),
                    HasSubstr("\"layer\":\"NaN\""), Not(HasSubstr("Infinity"))));
}

TEST(MetricsFileTest, OtherFilesAreNotOverwritten) {
  const std::string directory = NewDirectory();
  for (const char* text : {"name: \"a recipe\"\n", "{\"other\": \"json\"}\n", "{", "BITGCKPT"}) {
    const std::string path = directory + "/file";
    WriteFile(path, text);
    EXPECT_EQ(MetricsFile(path).CheckReplaceable().code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_THAT(std::string(MetricsFile(path).Begin({}).message()), HasSubstr(path));
    EXPECT_EQ(ReadFile(path), text);
  }
  WriteFile(directory + "/empty", "");
  for (const std::string& path :
       {directory + "/empty", directory + "/missing", std::string("/dev/null"), std::string()}) {
    EXPECT_TRUE(MetricsFile(path).CheckReplaceable().ok()) << path;
  }
  MetricsFile metrics(directory + "/metrics");
  ASSERT_TRUE(metrics.Append(SomeMetrics(1)).ok());
  EXPECT_TRUE(metrics.Begin({}).ok());
}

TEST(MetricsFileTest, WithoutAPathNothingIsWrittenAndErrorsNameTheFile) {
  MetricsFile none("");
  EXPECT_TRUE(none.Begin({}).ok());
  EXPECT_TRUE(none.Append(SomeMetrics(1)).ok());
  MetricsFile missing(NewDirectory() + "/missing/metrics.jsonl");
  EXPECT_THAT(std::string(missing.Begin({}).message()),
              AllOf(HasSubstr("missing/metrics.jsonl"), HasSubstr("No such")));
  if (std::filesystem::exists("/dev/full")) {
    MetricsFile full("/dev/full");
    EXPECT_THAT(std::string(full.Append(SomeMetrics(1)).message()), HasSubstr("No space left"));
  }
}

}  // namespace
}  // namespace bitgrad
