// A summary before training says what the frozen model costs.

#include "bitgrad/export/summary.h"

#include <algorithm>
#include <string>
#include <vector>

#include "bitgrad/models/mlp.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/lsq.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST(SummaryTest, OfAnUntrainedNet) {
  ParameterStore store(1);
  Mlp net(store.Root(), {.features = 20,
                         .hidden = {30, 40},
                         .classes = 10,
                         .input = KBit(8),
                         .activation_quantizer = Lsq(2),
                         .weight = Sign()});
  ASSERT_TRUE(store.status().ok()) << store.status();
  ExecContext context({.threads = 1});
  const auto summary = Summarize(context, net, {20});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->cost.float_layers, 0);
  // Three thresholds for each hidden feature, and the last batch norm.
  EXPECT_THAT(summary->cost.parameters_by_bits,
              UnorderedElementsAre(Pair(1, 20 * 30 + 30 * 40 + 40 * 10), Pair(32, 3 * (30 + 40) + 4 * 10)));
  EXPECT_THAT(summary->table, HasSubstr("unsigned(2)"));
  EXPECT_FALSE(store.Find("hidden2/input/quantizer/step")->is_set) << "a summary trains nothing";
}

TEST(SummaryTest, SaysWhyALayerIsFloat) {
  ParameterStore store(1);
  Mlp net(store.Root(),
          {.features = 20, .hidden = {30}, .classes = 10, .input = KBit(8), .activation_quantizer = Sign()});
  ExecContext context({.threads = 1});
  const auto summary = Summarize(context, net, {20});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->cost.float_layers, 2);
  EXPECT_THAT(summary->table, HasSubstr("float GEMM (float weights)"));
}

// Nets of 2-bit weights and activations run from code to code: only first and last layer may be products of floats.
TEST(SummaryTest, RecipesOfTwoBits) {
  const struct {
    const char* recipe;
    ImageShape image;
  } cases[] = {{"mnist_lsq2_mlp", {28, 28, 1}},           {"mnist_dorefa2_mlp", {28, 28, 1}},
               {"mnist_pact2_mlp", {28, 28, 1}},          {"cifar10_lsq2_vgg_tiny", {32, 32, 3}},
               {"cifar10_dorefa2_vgg_tiny", {32, 32, 3}}, {"cifar10_pact2_vgg_tiny", {32, 32, 3}}};
  for (const auto& [name, image] : cases) {
    SCOPED_TRACE(name);
    const auto recipe = LoadRecipe(name);
    ASSERT_TRUE(recipe.ok()) << recipe.status();
    ParameterStore store(1);
    const auto model = MakeNetwork(recipe->model(), image, 10, store);
    ASSERT_TRUE(model.ok()) << model.status();
    ExecContext context({.threads = 1});
    const auto summary = Summarize(context, **model, {image.features()});
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_LE(summary->cost.float_layers, 2) << summary->table;
    // Between them there is no batch norm and no quantizer left.
    const std::vector<LayerCost>& layers = summary->cost.layers;
    const auto product = [](const LayerCost& layer) { return !layer.weights.empty(); };
    const auto first = std::find_if(layers.begin(), layers.end(), product);
    const auto last = std::find_if(layers.rbegin(), layers.rend(), product).base() - 1;
    for (auto layer = first; layer < last; ++layer) {
      if (layer == first && layer->is_float) continue;
      if (first->is_float && layer <= first + 3) continue;  // what follows a float layer: norm, activation, quantizer
      EXPECT_TRUE(layer->op == "linear + threshold" || layer->op == "conv2d + threshold" || layer->op == "max_pool" ||
                  layer->op == "reshape")
          << layer->op << "\n"
          << summary->table;
    }
  }
}

}  // namespace
}  // namespace bitgrad
