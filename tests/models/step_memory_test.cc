// The predicted memory of a training step: what is measured, and training that does not notice.

#include "bitgrad/models/training/step_memory.h"

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/loss.h"
#include "bitgrad/models/training/memory_plan.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

constexpr int64_t kClasses = 10;

std::unique_ptr<Task> TaskOf(const recipe::Recipe& recipe, int64_t features) {
  return Classification({.features = features, .classes = kClasses, .loss = recipe.loss()});
}

// A recipe's net with an optimizer.
class Training {
 public:
  Training(const std::string& name, const ImageShape& image, int threads)
      : recipe_(*LoadRecipe(name)),
        options_{.threads = threads, .seed = 3},
        context_(options_),
        store_(recipe_.seed()),
        features_(image.features()),
        model_(*MakeNetwork(recipe_.model(), image, kClasses, store_)),
        optimizer_(*MakeOptimizer(context_, "adam", {.learning_rate = 1e-3})) {}

  absl::StatusOr<int64_t> Predict(int64_t batch) {
    return PredictStepMemory(options_, *model_, store_, *TaskOf(recipe_, features_), batch);
  }
  void Step(int64_t batch, uint64_t seed) {
    Backward(batch, seed);
    ASSERT_TRUE(optimizer_->Step(store_.parameters()).ok());
  }
  void Backward(int64_t batch, uint64_t seed) {
    const Examples examples = RandomExamples(batch, features_, kClasses, seed);
    Tape tape(context_);
    const Var logits = model_->Forward(tape.Input(examples.x));
    const Var loss = ApplyLoss(recipe_.loss(), logits, examples.labels);
    const absl::Status status = tape.Backward(loss);
    ASSERT_TRUE(status.ok()) << status;
  }
  ParameterStore& store() { return store_; }
  int64_t peak_bytes() { return static_cast<int64_t>(context_.allocator().peak_bytes()); }

 private:
  const recipe::Recipe recipe_;
  const ExecContext::Options options_;
  ExecContext context_;
  ParameterStore store_;
  const int64_t features_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
};

// ---- Prediction and measurement ------------------------------------------------------------------------

struct MemoryCase {
  const char* recipe;
  ImageShape image;
  int64_t batch;
  int threads = 1;
};

class StepMemoryTest : public testing::TestWithParam<MemoryCase> {};

TEST_P(StepMemoryTest, IsWithinATenthOfWhatIsMeasured) {
  const MemoryCase& c = GetParam();
  Training training(c.recipe, c.image, c.threads);
  const auto predicted = training.Predict(c.batch);
  ASSERT_TRUE(predicted.ok()) << predicted.status();
  EXPECT_EQ(training.peak_bytes(), 0) << "the prediction has a pool of its own";
  // The second step finds bits that the optimizer made of the weights.
  for (uint64_t step = 1; step <= 2; ++step) training.Step(c.batch, step);
  const double measured = static_cast<double>(training.peak_bytes());
  EXPECT_NEAR(static_cast<double>(*predicted), measured, 0.1 * measured);
}

constexpr ImageShape kDigits = {28, 28, 1}, kCifar = {32, 32, 3}, kSmall = {67, 67, 3};

// Of the MLPs of 1000 examples the worst moment is another one than of few: where activations are most, not where the
// weights' gradients are. 37 and 33 are far from a size class.
INSTANTIATE_TEST_SUITE_P(
    Recipes, StepMemoryTest,
    testing::Values(MemoryCase{"digits_bnn_mlp", kDigits, 100}, MemoryCase{"digits_bnn_mlp", kDigits, 1000, 2},
                    MemoryCase{"mnist_float_mlp", kDigits, 100, 2}, MemoryCase{"mnist_float_mlp", kDigits, 1000},
                    MemoryCase{"mnist_binaryconnect_stochastic_mlp", kDigits, 100},
                    MemoryCase{"mnist_bnn_mlp_small", kDigits, 100}, MemoryCase{"mnist_bnn_lenet", kDigits, 37},
                    MemoryCase{"cifar10_bnn_vgg_tiny", kCifar, 50}, MemoryCase{"cifar10_bnn_vgg_tiny", kCifar, 33, 2},
                    MemoryCase{"cifar10_float_vgg_tiny", kCifar, 50, 2},
                    MemoryCase{"cifar10_float_vgg_tiny", kCifar, 33}, MemoryCase{"cifar10_birealnet20", kCifar, 12},
                    MemoryCase{"imagenet_birealnet18", kSmall, 12, 2}, MemoryCase{"imagenet_bnn_alexnet", kSmall, 12},
                    MemoryCase{"imagenet_dorefa_alexnet", kSmall, 12}),
    [](const auto& info) {
      return absl::StrCat(info.param.recipe, "_", info.param.batch, "_threads", info.param.threads);
    });

// A batch smaller than those that are tried.
TEST(StepMemoryTest, OfOneExampleOnThreeThreads) {
  Training training("cifar10_bnn_vgg_tiny", kCifar, 3);
  const auto predicted = training.Predict(1);
  ASSERT_TRUE(predicted.ok()) << predicted.status();
  training.Step(1, 1);
  const double measured = static_cast<double>(training.peak_bytes());
  EXPECT_NEAR(static_cast<double>(*predicted), measured, 0.1 * measured);
}

// ---- Training does not notice ----------------------------------------------------------------------------

std::vector<std::string> BytesOf(const ParameterStore& store) {
  std::vector<std::string> all;
  for (const Parameter* parameter : store.parameters()) {
    all.emplace_back(static_cast<const char*>(parameter->value.raw_data()), parameter->value.byte_size());
  }
  return all;
}

// Dropout, stochastic weights, running statistics, bits of weights: predicted before each step, after each backward
// pass.
TEST(StepMemoryTest, TrainingTakesTheSameBits) {
  for (const auto& [recipe, image] : {std::pair{"mnist_binaryconnect_stochastic_mlp", kDigits},
                                      {"mnist_bnn_mlp_small", kDigits},
                                      {"cifar10_bnn_vgg_tiny", kCifar}}) {
    SCOPED_TRACE(recipe);
    Training without(recipe, image, 2), with(recipe, image, 2);
    for (uint64_t step = 1; step <= 3; ++step) {
      ASSERT_TRUE(with.Predict(20).ok());
      for (Training* training : {&without, &with}) training->Backward(5, step);
      ASSERT_TRUE(with.Predict(20).ok());
      for (Training* training : {&without, &with}) training->Step(5, step + 10);
    }
    EXPECT_TRUE(BytesOf(with.store()) == BytesOf(without.store()));
  }
}

TEST(StepMemoryTest, ParametersKeepTheirGradientsAndSigns) {
  Training training("cifar10_bnn_vgg_tiny", kCifar, 1);
  const auto predict = [&] {
    std::vector<std::pair<const void*, const void*>> before;
    for (const Parameter* p : training.store().parameters()) {
      before.push_back({p->gradient.is_null() ? nullptr : p->gradient.raw_data(), p->signs().get()});
    }
    ASSERT_TRUE(training.Predict(10).ok());
    for (size_t i = 0; i < before.size(); ++i) {
      const Parameter* p = training.store().parameters()[i];
      EXPECT_EQ(p->gradient.is_null() ? nullptr : p->gradient.raw_data(), before[i].first) << p->name;
      EXPECT_EQ(p->signs().get(), before[i].second) << p->name;
      EXPECT_TRUE(p->value.is_unique()) << p->name;
    }
  };
  predict();
  training.Backward(5, 1);
  Parameter* const weight = training.store().Find("conv2/weight");
  ASSERT_FALSE(weight->gradient.is_null());
  ASSERT_NE(weight->signs(), nullptr);
  predict();
}

// ---- An evaluation -----------------------------------------------------------------------------------------

TEST(StepMemoryTest, OfAnEvaluation) {
  for (const auto& [name, image] : {std::pair{"digits_bnn_mlp", kDigits}, {"cifar10_float_vgg_tiny", kCifar}}) {
    SCOPED_TRACE(name);
    const recipe::Recipe recipe = *LoadRecipe(name);
    ParameterStore store(1);
    const auto model = *MakeNetwork(recipe.model(), image, kClasses, store);
    const auto before = BytesOf(store);
    const auto predicted =
        PredictEvaluationMemory({.threads = 2}, *model, store, *TaskOf(recipe, image.features()), 100);
    ASSERT_TRUE(predicted.ok()) << predicted.status();
    EXPECT_TRUE(BytesOf(store) == before);
    ExecContext context({.threads = 2});
    ASSERT_TRUE(Logits(context, *model, RandomExamples(100, image.features(), kClasses, 1).x).ok());
    // At its peak an evaluation holds two or three blocks, and the pool may round each of them up by a quarter, where
    // the prediction assumes what all activations are rounded by on average.
    const double measured = static_cast<double>(context.allocator().peak_bytes());
    EXPECT_NEAR(static_cast<double>(*predicted), measured, 0.25 * measured);
  }
}

// ---- What is compared with what there is -------------------------------------------------------------------

TEST(MemoryPlanTest, RefusesWithWhatIsNeeded) {
  MemoryPlan plan;
  plan.AddHeld("images", 55000000);
  plan.Add("parameters", 2000000000);
  plan.Add("gradients", 1500000);
  EXPECT_EQ(plan.needed(), 2001500000);
  EXPECT_TRUE(plan.Check({.bytes = 2001500000}).ok());
  EXPECT_EQ(
      plan.Check({.bytes = 2001499999, .limit = "this machine has 4.00 GB"}),
      absl::ResourceExhaustedError("not enough memory: 2.00 GB are needed (parameters 2.00 GB, gradients 1.50 MB) "
                                   "and 2.00 GB are available (this machine has 4.00 GB); make the batch or the "
                                   "model smaller"));
  EXPECT_EQ(plan.Table(),
            "       2.00 GB  parameters\n"
            "      55.00 MB  images (in memory already)\n"
            "       1.50 MB  gradients\n"
            "       2.00 GB  still needed\n");
  plan.Add("a step", std::numeric_limits<int64_t>::max());
  EXPECT_EQ(plan.needed(), std::numeric_limits<int64_t>::max());
}

// The sizes of a model that is not made are those of the model.
TEST(MemoryPlanTest, AModelIsMeasuredWithoutMemory) {
  for (const auto& [name, image] :
       {std::pair{"mnist_bnn_mlp_small", kDigits}, {"cifar10_bnn_vgg_tiny", kCifar}, {"cifar10_birealnet20", kCifar}}) {
    SCOPED_TRACE(name);
    const recipe::Recipe recipe = *LoadRecipe(name);
    ParameterStore store(1), measuring{ParameterStore::MeasuresOnly()};
    ASSERT_TRUE(MakeNetwork(recipe.model(), image, kClasses, store).ok());
    ASSERT_TRUE(MakeNetwork(recipe.model(), image, kClasses, measuring).ok());
    int64_t all = 0;
    for (const Parameter* parameter : store.parameters()) all += parameter->value.num_elements();
    EXPECT_EQ(measuring.measured().all, all);
    EXPECT_EQ(measuring.measured().trainable, store.trainable_elements());
    for (const Parameter* parameter : measuring.parameters()) EXPECT_EQ(parameter->value.num_elements(), 0);
  }
}

// ---- Errors ------------------------------------------------------------------------------------------------

TEST(StepMemoryTest, ErrorsAreTheModels) {
  const recipe::Recipe recipe = *LoadRecipe("cifar10_bnn_vgg_tiny");
  ParameterStore store(1);
  const auto model = *MakeNetwork(recipe.model(), kCifar, kClasses, store);
  const auto before = BytesOf(store);
  const auto predicted = PredictStepMemory({.threads = 1}, *model, store, *TaskOf(recipe, kCifar.features() + 1), 50);
  EXPECT_THAT(std::string(predicted.status().message()), testing::HasSubstr("reshape"));
  EXPECT_TRUE(BytesOf(store) == before);
}

}  // namespace
}  // namespace bitgrad
