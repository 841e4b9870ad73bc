// Language modeling: the loss against the formula, and what a recurrent model carries from batch to batch in training,
// in evaluations, and in the report of a divergence.

#include "bitgrad/models/training/language_modeling.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/data/text_batches.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/gradient_descent.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/embedding.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/ops/slice.h"
#include "bitgrad/ops/stack.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kVocabulary = 5;
constexpr int64_t kWidth = 3;

// h_t = tanh(h_(t-1) + row of the token), logits = h W^T. It notes what each tape has read.
struct TinyRecurrentModel final : Model {
  explicit TinyRecurrentModel(ParameterStore& store)
      : table(store.Root().NewParameter("table", {kVocabulary, kWidth}, Initializer::Uniform(1))),
        dense(store.Root() / "output", {.in = kWidth, .out = kVocabulary}) {}

  Var Forward(const Var& tokens) override {
    Tape& tape = *tokens.tape();
    const int64_t steps = tokens.shape().dim(0), streams = tokens.shape().dim(1);
    const Var rows = Embedding(tokens, tape.Use(table));
    Var h = tape.State("h", {streams, kWidth});
    if (const auto value = tape.Value(h); value.ok()) {
      read.emplace_back((*value)->span<float>().begin(), (*value)->span<float>().end());
    }
    std::vector<Var> outputs;
    for (int64_t t = 0; t < steps; ++t) outputs.push_back(h = Tanh(Add(h, Step(rows, t))));
    tape.SetNextState("h", h);
    const Var logits = dense(Reshape(Stack(outputs), {steps * streams, kWidth}));
    if (static_cast<int64_t>(read.size()) <= infinite_from) return logits;
    const Var large = tape.Input(Tensor::Of<float>({kVocabulary}, std::vector<float>(kVocabulary, 1e38f)));
    return Mul(Mul(logits, large), large);
  }

  Parameter& table;
  Dense dense;
  std::vector<std::vector<float>> read;
  int64_t infinite_from = 1000;  // the forward passes whose logits are infinite
};

Text SomeText(int64_t count) {
  Text text{.data_set = "words", .tokens = Tensor({count}, DType::kInt32), .vocabulary = kVocabulary};
  TestRandom random(3);
  for (int32_t& token : text.tokens.mutable_span<int32_t>()) token = static_cast<int32_t>(random.Below(kVocabulary));
  return text;
}

struct Learning {
  explicit Learning(double rate = 0.1) : optimizer(*MakeOptimizer(context, "sgd", {})) {
    EXPECT_TRUE(store.status().ok()) << store.status();
    learner = std::make_unique<GradientDescent>(context, model, store, *task, loader, *optimizer,
                                                *MakeSchedule({.learning_rate = rate}, 10));
  }

  // From a batch on, until `stop_after` batches have been learned from in all.
  absl::Status RunEpoch(int64_t epoch, int64_t first = 0, size_t stop_after = 1000) {
    EpochBatches batches = loader.Epoch(epoch, first);
    return learner->RunEpoch(
        epoch, batches, [&](const StepResult& result) { results.push_back(result); },
        [&] { return results.size() >= stop_after; });
  }

  ExecContext context{{.threads = 1}};
  ParameterStore store{3};
  TinyRecurrentModel model{store};
  const std::unique_ptr<Task> task = LanguageModeling({.vocabulary = kVocabulary, .steps = 4});
  // 2 streams of 15 tokens: batches of 4, 4, 4 and 3 steps.
  const BatchLoader loader = *TextBatches(SomeText(31), {.streams = 2, .steps = 4});
  const std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<GradientDescent> learner;
  std::vector<StepResult> results;
};

TEST(LanguageModelingTest, TheLossIsTheFormula) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  TinyRecurrentModel model(store);
  const auto task = LanguageModeling({.vocabulary = kVocabulary, .steps = 3, .unit = TextUnit::kCharacters});
  const BatchLoader loader = *TextBatches(SomeText(6), {.streams = 2, .steps = 3});
  EpochBatches batches = loader.Epoch(0);
  const Batch& batch = *batches.Next();
  ASSERT_TRUE(task->Check(batch).ok());
  Tape tape(context);
  const TaskOutput output = task->Forward(model, tape, batch);
  ASSERT_TRUE(tape.status().ok()) << tape.status();
  double sum = 0;
  const auto logits = (*tape.Value(output.predictions))->matrix<float>();
  ASSERT_EQ(logits.rows, 6);
  for (int64_t i = 0; i < 6; ++i) {
    double normalizer = 0;
    for (int64_t j = 0; j < kVocabulary; ++j) normalizer += std::exp(double{logits.at(i, j)});
    sum += std::log(normalizer) - double{logits.at(i, batch.targets.data<int32_t>()[i])};
  }
  const float loss = (*tape.Value(output.loss))->data<float>()[0];
  EXPECT_NEAR(loss, sum / 6, 1e-6);
  EXPECT_EQ(task->Count(batch), 6);
  MetricCell cell;
  ASSERT_TRUE(task->Measure(tape, output, batch, &cell).ok());
  EXPECT_EQ(cell.mean, loss);
  EXPECT_EQ(task->metrics()[0].name, std::string(kNegativeLogLikelihood));
  EXPECT_EQ(task->display(), MetricDisplay::kBitsPerCharacter);
  EXPECT_EQ(LanguageModeling({.vocabulary = 2})->display(), MetricDisplay::kPerplexity);
  EXPECT_EQ(LanguageModeling({.vocabulary = 2})->loss_scale(), 1);
  EXPECT_EQ(LanguageModeling({.vocabulary = 2, .loss_scale = 8})->loss_scale(), 8);
}

TEST(LanguageModelingTest, WrongBatchesAndModels) {
  const auto task = LanguageModeling({.vocabulary = kVocabulary, .steps = 3});
  const auto error = [&](const Batch& batch) { return std::string(task->Check(batch).message()); };
  const Batch blank = task->Blank(2);
  EXPECT_EQ(error(blank), "");
  EXPECT_EQ(blank.tokens.shape(), Shape({3, 2}));
  const char* const wrong = "a batch has tokens [steps, streams] and as many targets";
  EXPECT_THAT(error({}), HasSubstr(wrong));
  EXPECT_THAT(error({.tokens = blank.tokens.Alias()}), HasSubstr(wrong));
  EXPECT_THAT(error({.tokens = blank.tokens.Alias(), .targets = Tensor::Zeros({2, 3}, DType::kInt32)}),
              HasSubstr(wrong));
  EXPECT_THAT(error({.tokens = Tensor::Zeros({3, 2}), .targets = blank.targets.Alias()}), HasSubstr(wrong));
  for (const int32_t token : {-1, 5}) {
    Tensor tokens = Tensor::Zeros({3, 2}, DType::kInt32);
    tokens.mutable_data<int32_t>()[4] = token;
    EXPECT_THAT(error({.tokens = tokens.Alias(), .targets = blank.targets.Alias()}),
                HasSubstr(absl::StrCat("token ", token, " is not in [0, 5)")));
    EXPECT_THAT(error({.tokens = blank.tokens.Alias(), .targets = tokens.Alias()}), HasSubstr("is not in [0, 5)"));
  }
  // A model for another vocabulary.
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  TinyRecurrentModel model(store);
  for (const int64_t vocabulary : {4, 6}) {
    const auto other = LanguageModeling({.vocabulary = vocabulary, .steps = 3});
    Tape tape(context);
    other->Forward(model, tape, other->Blank(2));
    EXPECT_THAT(std::string(tape.status().message()),
                HasSubstr(absl::StrCat("the model gives [6, 5] for tokens [3, 2]; it should give [6, ", vocabulary)));
  }
}

TEST(LanguageModelingTest, StatesGoOnFromBatchToBatchAndBeginAnewInEachEpoch) {
  Learning learning;
  const std::vector<float> zeros(2 * kWidth);
  ASSERT_TRUE(learning.RunEpoch(0).ok());
  ASSERT_TRUE(learning.RunEpoch(1).ok());
  const auto& read = learning.model.read;
  ASSERT_EQ(read.size(), 8u);
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(read[i] == zeros, i % 4 == 0) << i;
  EXPECT_NE(read[1], read[2]);
  ASSERT_EQ(learning.results.size(), 8u);
  EXPECT_EQ(learning.results[3].metrics[0].count, 6) << "the last batch has 3 steps";
  EXPECT_LT(learning.results[7].loss, learning.results[3].loss);
}

// In the middle of an epoch, with what a checkpoint keeps.
TEST(LanguageModelingTest, ALearnerGoesOnFromItsState) {
  Learning whole, first;
  ASSERT_TRUE(whole.RunEpoch(0).ok());
  ASSERT_TRUE(absl::IsCancelled(first.RunEpoch(0, 0, /*stop_after=*/2)));
  const LearnerState state = first.learner->state();
  ASSERT_EQ(state.states.size(), 1u);
  EXPECT_EQ(state.states[0].name, "h");
  Learning second;
  for (size_t i = 0; i < 2; ++i) {
    second.store.parameters()[i]->value = first.store.parameters()[i]->value.Clone();
  }
  ASSERT_TRUE(second.learner->Restore(state).ok());
  ASSERT_TRUE(second.RunEpoch(0, 2).ok());
  ASSERT_EQ(second.results.size(), 2u);
  EXPECT_EQ(second.model.read[0], whole.model.read[2]);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(second.results[i].loss, whole.results[2 + i].loss);
    EXPECT_EQ(second.store.parameters()[i]->value.span<float>(), whole.store.parameters()[i]->value.span<float>());
  }
}

// The report runs the batch that diverged once more, with the states that it had.
TEST(LanguageModelingTest, ADivergenceIsExplainedWithTheStatesOfItsBatch) {
  Learning learning;
  learning.model.infinite_from = 2;
  const absl::Status status = learning.RunEpoch(0);
  ASSERT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
  EXPECT_EQ(learning.results.size(), 2u);
  const auto& read = learning.model.read;
  ASSERT_EQ(read.size(), 4u) << "two good steps, the one that diverged, and the report";
  EXPECT_EQ(read[3], read[2]);
  EXPECT_NE(read[2], read[1]);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("nothing was updated"), HasSubstr("(")));
}

// However the text is cut into batches, an evaluation is the same; and it begins with zeros each time.
TEST(LanguageModelingTest, AnEvaluationReadsTheTextOnce) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  TinyRecurrentModel model(store);
  const Text text = SomeText(53);
  const auto task = LanguageModeling({.vocabulary = kVocabulary, .steps = 100});
  std::vector<double> means;
  for (const int64_t steps : {1, 2, 4, 5, 100, 4}) {
    const BatchLoader loader = *TextBatches(text, {.streams = 3, .steps = steps, .all_tokens = true});
    model.read.clear();
    const auto metrics = EvaluateMetrics(context, model, *task, loader);
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    EXPECT_EQ((*metrics)[0].count, 53);
    means.push_back((*metrics)[0].mean());
    EXPECT_NEAR(means.back(), means.front(), 1e-6) << steps;
    EXPECT_EQ(model.read[0], std::vector<float>(3 * kWidth)) << steps;
    EXPECT_EQ(model.read.back().size(), 2 * kWidth) << "53 mod 3 streams have one token more";
  }
  EXPECT_EQ(means[2], means[5]);
}

// The rates follow the results that the trainer tells, from the learner's first epoch on.
TEST(LanguageModelingTest, ALearnerFollowsItsResults) {
  Learning learning;
  GradientDescent learner(learning.context, learning.model, learning.store, *learning.task, learning.loader,
                          *learning.optimizer, *MakeSchedule({.name = "plateau", .learning_rate = 1}, 10),
                          /*first_epoch=*/2);
  const double results[] = {1, 0.5, 5, 5, 6};
  learner.SetResults(results);
  EXPECT_EQ(learner.LearningRate(3, 0), 1);
  EXPECT_EQ(learner.LearningRate(4, 0), 0.5);
  EXPECT_EQ(learner.LearningRate(5, 0), 0.25);
  learner.SetResults(absl::MakeConstSpan(results, 1));
  EXPECT_EQ(learner.LearningRate(5, 0), 1) << "the results of an earlier phase do not count";
}

}  // namespace
}  // namespace bitgrad
