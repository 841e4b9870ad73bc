// The nets of the built-in convolutional recipes, of recurrent ones over images, and one of shift-based batch norms,
// frozen: no image is classified otherwise than by the graph. Initial weights with batch norms as training could leave
// them, and weights and batch norms as a few steps of training did leave them; nets of folders of images get small
// ones.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/loss.h"
#include "bitgrad/models/training/recipe_optimizer.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr int64_t kClasses = 10;

struct RecipeCase {
  const char* name;
  ImageShape image;
  // All sums are of integers, so the logits are the graph's to the last bit. Else a sum of floats may be rounded
  // otherwise where the interpreter takes a batch in pieces.
  bool exact;
  int training_steps = 10;
  // Of the largest logit. Where logits are rounded to a format, a sum beside the middle of two of its numbers may
  // become either: one unit in the last place of the format.
  float tolerance = 1e-4f;
};

class FreezeRecipesTest : public testing::TestWithParam<RecipeCase> {
 protected:
  void SetUp() override {
    const auto recipe = LoadRecipe(GetParam().name);
    ASSERT_TRUE(recipe.ok()) << recipe.status();
    recipe_ = *recipe;
    model_ = MakeNet(store_);
  }
  std::unique_ptr<Model> MakeNet(ParameterStore& store) {
    auto model = MakeNetwork(recipe_.model(), GetParam().image, kClasses, store);
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? *std::move(model) : nullptr;
  }
  Tensor Images(int64_t count) { return RandomInputs({count, GetParam().image.features()}, random_); }
  void Train(int steps, int64_t batch);
  // Freezes `model` and compares with the graph of model_.
  void ExpectTheGraphsAnswers(Model& model);

  std::mt19937 random_{7};
  recipe::Recipe recipe_;
  ParameterStore store_{1};
  ExecContext context_{{.threads = 2}};
  std::unique_ptr<Model> model_;
  std::set<int64_t> classes_;  // that images were of
};

// With the recipe's loss, optimizer and learning rate.
void FreezeRecipesTest::Train(int steps, int64_t batch) {
  const auto optimizer = OptimizerOf(recipe_.optimizer(), context_);
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  Tensor labels({batch}, DType::kInt32);
  for (int64_t i = 0; i < batch; ++i) labels.mutable_data<int32_t>()[i] = static_cast<int32_t>(i % kClasses);
  std::set<std::string> unchanged;  // weights that have the signs that they began with
  for (const Parameter* parameter : store_.parameters()) {
    if (parameter->fan_in > 0) unchanged.insert(parameter->name);
  }
  for (int step = 0; step < steps; ++step) {
    const Tensor images = Images(batch);
    Tape tape(context_);
    const Var loss = ApplyLoss(recipe_.loss(), model_->Forward(tape.Input(images)), labels);
    ASSERT_TRUE(tape.Backward(loss).ok()) << tape.status();
    ASSERT_TRUE((*optimizer)->Step(store_.parameters()).ok());
    for (const Parameter* parameter : store_.parameters()) {
      if (parameter->sign_flips > 0) unchanged.erase(parameter->name);
    }
  }
  ASSERT_TRUE(unchanged.empty()) << *unchanged.begin() << " has the signs that it began with";
}

int64_t Class(const Tensor& logits, int64_t image) {
  const float* const row = logits.data<float>() + image * kClasses;
  return std::max_element(row, row + kClasses) - row;
}

void FreezeRecipesTest::ExpectTheGraphsAnswers(Model& model) {
  constexpr int64_t kBatch = 1000;
  const auto frozen = FreezeToMemory(context_, model, {1, GetParam().image.features()});
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_EQ(CostOf(*(*frozen)->packed).predicted_bytes, static_cast<int64_t>((*frozen)->bytes.size()));

  const Tensor x = Images(kBatch);
  const Tensor graph = GraphLogits(context_, *model_, x);
  const auto packed = (*frozen)->interpreter->Run(x.matrix<float>());
  ASSERT_TRUE(packed.ok()) << packed.status();
  ASSERT_EQ(packed->shape(), graph.shape());
  float largest = 0;
  for (const float logit : graph.span<float>()) largest = std::max(largest, std::fabs(logit));
  for (int64_t i = 0; i < graph.num_elements(); ++i) {
    const float expected = graph.data<float>()[i], actual = packed->data<float>()[i];
    if (GetParam().exact) {
      ASSERT_EQ(actual, expected) << "logit " << i;
    } else {
      ASSERT_NEAR(actual, expected, GetParam().tolerance * largest) << "logit " << i;
    }
  }
  for (int64_t i = 0; i < kBatch; ++i) {
    classes_.insert(Class(graph, i));
    EXPECT_EQ(Class(*packed, i), Class(graph, i)) << "image " << i;
  }
}

TEST_P(FreezeRecipesTest, GivesTheGraphsAnswers) {
  ASSERT_NE(model_, nullptr);
  RandomizeBatchNorms(store_, random_);
  ExpectTheGraphsAnswers(*model_);
}

// The number of steps is the case's: enough to move running statistics, and signs in every layer, in a test's time.
// What is frozen is another net with the same numbers, as from a checkpoint: nothing else that training left with the
// parameters helps.
TEST_P(FreezeRecipesTest, GivesTheGraphsAnswersAfterTraining) {
  ParameterStore copies(2);
  const std::unique_ptr<Model> copy = MakeNet(copies);
  ASSERT_TRUE(model_ != nullptr && copy != nullptr);
  Train(GetParam().training_steps, /*batch=*/20);
  if (HasFatalFailure()) return;
  for (const Parameter* parameter : store_.parameters()) {
    copies.Find(parameter->name)->value = parameter->value.Clone();
  }
  ExpectTheGraphsAnswers(*copy);
  EXPECT_GT(classes_.size(), 1u) << "all images are of one class: that says little";
}

INSTANTIATE_TEST_SUITE_P(Recipes, FreezeRecipesTest,
                         testing::Values(RecipeCase{"cifar10_bnn_vgg", {32, 32, 3}, true},
                                         RecipeCase{"cifar10_bnn_vgg_tiny", {32, 32, 3}, true},
                                         RecipeCase{"svhn_bnn_vgg", {32, 32, 3}, true},
                                         RecipeCase{"mnist_bnn_lenet", {28, 28, 1}, true},
                                         RecipeCase{"mnist_shift_bnn_mlp", {28, 28, 1}, true},
                                         RecipeCase{"mnist_row_lstm", {28, 28, 1}, true},
                                         RecipeCase{"temporal_order_lstm_4bit", {30, 8, 1}, true},
                                         RecipeCase{"mnist_maxout_half_mlp", {28, 28, 1}, false, 10, 0x1p-10f},
                                         RecipeCase{"mnist_maxout_dynamic_fixed_mlp", {28, 28, 1}, false},
                                         RecipeCase{"cifar10_float_vgg_tiny", {32, 32, 3}, false},
                                         RecipeCase{"cifar10_birealnet20", {32, 32, 3}, false},
                                         // Folders of images: 60 images, in 3 steps.
                                         RecipeCase{"imagenet_bnn_alexnet", {67, 67, 3}, false, 3},
                                         RecipeCase{"imagenet_dorefa_alexnet", {67, 67, 3}, false, 3},
                                         RecipeCase{"imagenet_birealnet18", {64, 64, 3}, false, 3}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace bitgrad
