// The nets of the built-in convolutional recipes, frozen: no image is classified otherwise than by the graph. Initial weights, batch
// norms as training could leave them; nets of folders of images get small ones.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "models/networks.h"
#include "models/recipe.h"
#include "runtime/cost.h"
#include "tests/export/freeze_testing.h"

namespace bitgrad {
namespace {

struct RecipeCase {
  const char* name;
  ImageShape image;
  // All sums are of integers, so the logits are the graph's to the last bit. Else a sum of floats may be rounded otherwise
  // where the interpreter takes a batch in pieces.
  bool exact;
};

class FreezeRecipesTest : public testing::TestWithParam<RecipeCase> {};

TEST_P(FreezeRecipesTest, GivesTheGraphsAnswers) {
  constexpr int64_t kBatch = 1000, kClasses = 10;
  const RecipeCase& c = GetParam();
  std::mt19937 random(7);
  const auto recipe = LoadRecipe(c.name);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  ParameterStore store(1);
  const auto model = MakeNetwork(recipe->model(), c.image, kClasses, store);
  ASSERT_TRUE(model.ok()) << model.status();
  RandomizeBatchNorms(store, random);
  ExecContext context({.threads = 2});
  const auto frozen = FreezeToMemory(context, **model, {1, c.image.features()});
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_EQ(CostOf(*(*frozen)->packed).predicted_bytes, static_cast<int64_t>((*frozen)->bytes.size()));

  const Tensor x = RandomInputs({kBatch, c.image.features()}, random);
  const Tensor graph = GraphLogits(context, **model, x);
  const auto packed = (*frozen)->interpreter->Run(x.matrix<float>());
  ASSERT_TRUE(packed.ok()) << packed.status();
  ASSERT_EQ(packed->shape(), graph.shape());
  float largest = 0;
  for (const float logit : graph.span<float>()) largest = std::max(largest, std::fabs(logit));
  for (int64_t i = 0; i < graph.num_elements(); ++i) {
    const float expected = graph.data<float>()[i], actual = packed->data<float>()[i];
    if (c.exact) {
      ASSERT_EQ(actual, expected) << "logit " << i;
    } else {
      ASSERT_NEAR(actual, expected, 1e-4f * largest) << "logit " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Recipes, FreezeRecipesTest,
    testing::Values(RecipeCase{"cifar10_bnn_vgg", {32, 32, 3}, true}, RecipeCase{"cifar10_bnn_vgg_tiny", {32, 32, 3}, true},
                    RecipeCase{"svhn_bnn_vgg", {32, 32, 3}, true}, RecipeCase{"mnist_bnn_lenet", {28, 28, 1}, true},
                    RecipeCase{"cifar10_float_vgg_tiny", {32, 32, 3}, false},
                    RecipeCase{"cifar10_birealnet20", {32, 32, 3}, false},
                    RecipeCase{"imagenet_bnn_alexnet", {67, 67, 3}, false},
                    RecipeCase{"imagenet_dorefa_alexnet", {67, 67, 3}, false},
                    RecipeCase{"imagenet_birealnet18", {64, 64, 3}, false}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace bitgrad
