// Nets in arithmetic of low precision: what is rounded, ranges, max-norm, phases that find ranges, errors of recipes.

#include "bitgrad/models/layers/low_precision.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/recipe_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

class LowPrecisionTest : public OnTestDevice<testing::Test> {};

recipe::Recipe MaxoutRecipe(const std::vector<std::string>& assignments) {
  std::vector<std::string> all = {"optimizer.name=sgd",
                                  "optimizer.momentum_schedule.initial=0.5",
                                  "optimizer.learning_rate=0.05",
                                  "optimizer.glorot_scale=false",
                                  "loss=SOFTMAX_CROSS_ENTROPY",
                                  "loss_scale=5",
                                  "model.mlp.weight_quantizer=identity",
                                  "model.mlp.activation_quantizer=identity",
                                  "model.mlp.input_quantizer=identity",
                                  "model.mlp.maxout_pieces=2",
                                  "model.mlp.max_norm=0.5",
                                  "model.mlp.norm.kind=NONE",
                                  "model.mlp.precision.computation=dynamic_fixed(10)",
                                  "model.mlp.precision.update=dynamic_fixed(12)",
                                  "model.mlp.precision.control_batches=2"};
  all.insert(all.end(), assignments.begin(), assignments.end());
  return TinyRecipe(all);
}

ModelBundle Trained(const recipe::Recipe& recipe) {
  const std::string folder = NewDirectory();
  const auto trained = Train(recipe, {.out_dir = folder});
  EXPECT_TRUE(trained.ok()) << trained.status();
  return *LoadModel(*Checkpoint::Open(folder + "/checkpoint.bgc"));
}

float RangeOf(const ModelBundle& bundle, const std::string& group) {
  const Parameter* const range = bundle.store->Find(group + "/range");
  EXPECT_NE(range, nullptr) << group;
  return range == nullptr ? 0 : range->value.data<float>()[0];
}

TEST_F(LowPrecisionTest, WhatIsStoredIsOfTheFormatAndWithinTheNorm) {
  const ModelBundle bundle = Trained(MaxoutRecipe({}));
  int groups = 0, moved = 0;
  for (const Parameter* parameter : bundle.store->parameters()) {
    if (parameter->overflows != nullptr) {
      ++groups;
      moved += parameter->value.data<float>()[0] != RangeControl().first_range;
      continue;
    }
    if (!parameter->trainable) continue;
    const double step = std::ldexp(1.0, static_cast<int>(RangeOf(bundle, parameter->name)) - 11);
    for (const float x : parameter->value.span<float>()) {
      ASSERT_EQ(x / step, std::nearbyint(x / step)) << parameter->name;
      ASSERT_LE(std::fabs(x / step), 2047) << parameter->name;
    }
    if (parameter->name.find("/weight") == std::string::npos) continue;
    const int64_t rows = parameter->value.shape().dim(0), cols = parameter->value.num_elements() / rows;
    for (int64_t i = 0; i < rows; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < cols; ++j) {
        const double x = parameter->value.data<float>()[i * cols + j];
        sum += x * x;
      }
      // Rounding moves each weight by half a step at most.
      EXPECT_LE(std::sqrt(sum), 0.5 + step / 2 * std::sqrt(static_cast<double>(cols))) << parameter->name << i;
    }
  }
  // Ten of each hidden layer; the last one has no activation.
  EXPECT_EQ(groups, 10 + 10 + 8);
  EXPECT_GT(moved, 20);
  // Weights, activations and gradients differ in size, and so do their ranges.
  EXPECT_LT(RangeOf(bundle, "hidden1/weight/update"), RangeOf(bundle, "hidden1/weight"));
  EXPECT_LT(RangeOf(bundle, "hidden1/output/gradient"), RangeOf(bundle, "hidden1/output"));
}

// The phase begins with the initial weights. With a rate that moves nothing it ends with them, as the format has them.
TEST_F(LowPrecisionTest, APhaseKeepsOnlyRanges) {
  recipe::Recipe recipe = MaxoutRecipe({"epochs=2", "model.mlp.precision.computation=dynamic_fixed(31)",
                                        "model.mlp.precision.update=dynamic_fixed(31)", "model.mlp.max_norm=1000"});
  const ModelBundle initial = *MakeModel(recipe, {28, 28, 1}, 10);
  recipe::Phase& phase = *recipe.add_phase();
  phase.set_from_epoch(2);
  phase.set_keep_only_ranges(true);
  phase.add_set("optimizer.learning_rate=1e-30");
  phase.add_set("schedule.name=constant");
  phase.add_set("optimizer.momentum_schedule.initial=1e-30");
  phase.add_set("model.mlp.precision.control_batches=10000");
  const ModelBundle bundle = Trained(recipe);
  EXPECT_NE(RangeOf(bundle, "hidden1/weight"), RangeControl().first_range);
  for (const char* name : {"hidden1/weight", "hidden2/weight", "output/weight"}) {
    const Parameter &before = *initial.store->Find(name), &after = *bundle.store->Find(name);
    // The velocity that the first phase has left moves them once, times the momentum.
    for (int64_t i = 0; i < before.value.num_elements(); ++i) {
      ASSERT_NEAR(after.value.data<float>()[i], before.value.data<float>()[i], 1e-6) << name;
    }
  }
}

// Ranges that nobody controls stay, and so does a float net's whole arithmetic without formats.
TEST_F(LowPrecisionTest, FixedFormatsHaveNoRanges) {
  for (const char* format : {"fixed(20, 5)", "half", "bfloat16", "float"}) {
    const recipe::Recipe recipe = MaxoutRecipe({absl::StrCat("model.mlp.precision.computation=", format),
                                                absl::StrCat("model.mlp.precision.update=", format)});
    ParameterStore store(1);
    ASSERT_TRUE(MakeNetwork(recipe.model(), kMnist, 10, store).ok());
    EXPECT_EQ(store.Find("hidden1/weight/range"), nullptr);
    EXPECT_EQ(store.Find("hidden1/weight")->stored_format.format, *ParseNumberFormat(format));
    EXPECT_EQ(store.Find("hidden1/weight")->max_row_norm, 0.5f);
  }
}

TEST_F(LowPrecisionTest, ErrorsNameTheField) {
  const struct {
    const char* assignment;
    const char* error;
  } cases[] = {
      {"model.mlp.precision.computation=fixed(20)",
       "recipe: model.mlp.precision.computation: number format 'fixed(20)'"},
      {"model.mlp.precision.update=hlaf", "recipe: model.mlp.precision.update: unknown number format 'hlaf' (did you"},
      {"model.mlp.precision.update=half",
       "recipe: model.mlp.precision.update: 'half' is not of the kind of computation, 'dynamic_fixed(10)'"},
      {"model.mlp.precision.most_overflow=1", "recipe: model.mlp.precision.most_overflow: 1 is not in [0, 1)"},
      {"model.mlp.precision.control_batches=0", "recipe: model.mlp.precision.control_batches: 0 is not in"},
      {"model.mlp.precision.first_range=61", "recipe: model.mlp.precision.first_range: 61 is not in [-60, 60]"},
      {"model.mlp.maxout_pieces=257", "recipe: model.mlp.maxout_pieces: 257 is not in [0, 256]"},
      {"model.mlp.max_norm=0", "recipe: model.mlp.max_norm: 0 has to be positive and finite"},
      {"model.mlp.input_keep=0", "recipe: model.mlp.input_keep: 0 is not in (0, 1]"},
      {"optimizer.momentum=0.9", "optimizer.momentum_schedule: there is optimizer.momentum, too"},
      {"optimizer.momentum_schedule.initial=0", "optimizer.momentum_schedule: 0 is not between 0 and 1"},
      {"optimizer.name=adam", "momentum"},
  };
  for (const auto& [assignment, error] : cases) {
    const auto trained = Train(MaxoutRecipe({assignment}), {.out_dir = NewDirectory()});
    EXPECT_THAT(std::string(trained.status().message()), HasSubstr(error)) << assignment;
  }
}

// An optimizer that cannot round says so before the first step.
TEST_F(LowPrecisionTest, OnlySgdRounds) {
  recipe::Recipe recipe = MaxoutRecipe({"optimizer.name=adam"});
  recipe.mutable_optimizer()->clear_momentum_schedule();
  const auto trained = Train(recipe, {.out_dir = NewDirectory()});
  EXPECT_THAT(
      std::string(trained.status().message()),
      HasSubstr("parameter 'hidden1/weight': it is stored as dynamic_fixed(12), to which optimizer 'adam' cannot "
                "round; choose 'sgd' without nesterov"));
}

}  // namespace
}  // namespace bitgrad
