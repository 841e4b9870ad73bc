#include "bitgrad/sweep/plan.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/models/recipe.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

sweep::Sweep Parse(const std::string& text) {
  sweep::Sweep sweep;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &sweep)) << text;
  return sweep;
}

absl::StatusOr<std::vector<Trial>> Plan(const std::string& text) {
  const sweep::Sweep sweep = Parse(text);
  return PlanTrials(sweep, *BaseRecipe(sweep));
}

// "NAME: ASSIGNMENT ..." of each trial.
std::vector<std::string> Lines(const std::string& text) {
  const auto trials = Plan(text);
  EXPECT_TRUE(trials.ok()) << trials.status();
  std::vector<std::string> lines;
  if (!trials.ok()) return lines;
  for (const Trial& trial : *trials) lines.push_back(trial.name + ": " + absl::StrJoin(trial.assignments, " "));
  return lines;
}

void ExpectError(const std::string& text, const std::string& message) {
  const auto trials = Plan(text);
  ASSERT_FALSE(trials.ok()) << text;
  EXPECT_EQ(trials.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(trials.status().message()), HasSubstr(message));
}

TEST(PlanTest, TheLastFieldOfAGridChangesFirst) {
  EXPECT_THAT(Lines(R"(
    field { name: "optimizer.learning_rate" value: "0.1" value: "0.01" }
    field { name: "batch_size" value: "10" value: "20" value: "30" })"),
              ElementsAre("trial_1: optimizer.learning_rate=0.1 batch_size=10",
                          "trial_2: optimizer.learning_rate=0.1 batch_size=20",
                          "trial_3: optimizer.learning_rate=0.1 batch_size=30",
                          "trial_4: optimizer.learning_rate=0.01 batch_size=10",
                          "trial_5: optimizer.learning_rate=0.01 batch_size=20",
                          "trial_6: optimizer.learning_rate=0.01 batch_size=30"));
}

TEST(PlanTest, SeedsChangeBeforeAnyField) {
  const auto trials = Plan(R"(seed: 7 seed: 3 field { name: "batch_size" value: "10" value: "20" })");
  ASSERT_TRUE(trials.ok()) << trials.status();
  ASSERT_EQ(trials->size(), 4);
  const std::vector<std::string> names = {"trial_1_seed_7", "trial_1_seed_3", "trial_2_seed_7", "trial_2_seed_3"};
  for (size_t i = 0; i < 4; ++i) {
    const Trial& trial = (*trials)[i];
    EXPECT_EQ(trial.name, names[i]);
    EXPECT_EQ(trial.configuration, static_cast<int>(i / 2));
    EXPECT_EQ(trial.recipe.seed(), i % 2 == 0 ? 7u : 3u);
    EXPECT_EQ(trial.recipe.batch_size(), i < 2 ? 10 : 20);
  }
}

TEST(PlanTest, ASweepOverSeedsAlone) {
  EXPECT_THAT(Lines("seed: 1 seed: 2"), ElementsAre("trial_1_seed_1: ", "trial_1_seed_2: "));
}

TEST(PlanTest, NumbersOfRanges) {
  EXPECT_THAT(Lines(R"(field { name: "optimizer.learning_rate" log_uniform { low: 1e-4 high: 1e-2 values: 3 } })"),
              ElementsAre("trial_1: optimizer.learning_rate=0.0001", "trial_2: optimizer.learning_rate=0.001",
                          "trial_3: optimizer.learning_rate=0.01"));
  EXPECT_THAT(Lines(R"(field { name: "optimizer.learning_rate" uniform { low: 0.1 high: 0.4 values: 4 } })"),
              ElementsAre("trial_1: optimizer.learning_rate=0.1", "trial_2: optimizer.learning_rate=0.2",
                          "trial_3: optimizer.learning_rate=0.3", "trial_4: optimizer.learning_rate=0.4"));
  // 1, 1.5, 2, 2.5, 3 are 1, 2, 2, 3, 3.
  EXPECT_THAT(Lines(R"(field { name: "batch_size" uniform { low: 1 high: 3 values: 5 whole: true } })"),
              ElementsAre("trial_1: batch_size=1", "trial_2: batch_size=2", "trial_3: batch_size=3"));
}

TEST(PlanTest, NamesHaveEquallyManyDigits) {
  const auto lines = Lines(R"(field { name: "batch_size" uniform { low: 1 high: 12 values: 12 whole: true } })");
  ASSERT_EQ(lines.size(), 12);
  EXPECT_EQ(lines[0], "trial_01: batch_size=1");
  EXPECT_EQ(lines[11], "trial_12: batch_size=12");
}

constexpr char kFields[] = R"(
  field { name: "optimizer.learning_rate" log_uniform { low: 1e-5 high: 1e-1 } }
  field { name: "batch_size" uniform { low: 10 high: 13 whole: true } }
  field { name: "optimizer.name" value: "adam" value: "adamax" })";

TEST(PlanTest, WhatIsDrawnDependsOnTheSeedAlone) {
  const auto first = Lines(std::string("random { trials: 20 seed: 5 }") + kFields);
  EXPECT_EQ(first, Lines(std::string("random { trials: 20 seed: 5 }") + kFields));
  EXPECT_NE(first, Lines(std::string("random { trials: 20 seed: 6 }") + kFields));
  // More trials have the same first ones.
  auto more = Lines(std::string("random { trials: 30 seed: 5 }") + kFields);
  more.resize(20);
  EXPECT_EQ(first, more);
  // A sweep that is resumed with a later version has to have the same trials.
  EXPECT_EQ(first[0], "trial_01: optimizer.learning_rate=0.00492334 batch_size=10 optimizer.name=adam");
  EXPECT_EQ(first[1], "trial_02: optimizer.learning_rate=0.00505509 batch_size=10 optimizer.name=adam");
}

TEST(PlanTest, DrawsLieInTheirRanges) {
  const auto trials = Plan(std::string("random { trials: 400 seed: 1 }") + kFields);
  ASSERT_TRUE(trials.ok()) << trials.status();
  int below = 0;
  std::set<int> sizes;
  std::set<std::string> names;
  for (const Trial& trial : *trials) {
    const double rate = trial.recipe.optimizer().learning_rate();
    EXPECT_GE(rate, 1e-5);
    EXPECT_LE(rate, 1e-1);
    below += rate < 1e-3;
    sizes.insert(trial.recipe.batch_size());
    names.insert(trial.recipe.optimizer().name());
  }
  // Half of the logarithms: 200, with a standard deviation of 10.
  EXPECT_GT(below, 150);
  EXPECT_LT(below, 250);
  EXPECT_THAT(sizes, ElementsAre(10, 11, 12, 13));
  EXPECT_THAT(names, ElementsAre("adam", "adamax"));
}

TEST(PlanTest, DrawsDiffer) {
  const std::string field = R"(field { name: "batch_size" value: "1" value: "2" value: "3" })";
  auto lines = Lines("random { trials: 3 }" + field);
  for (std::string& line : lines) line = line.substr(line.find(':'));
  EXPECT_EQ(std::set<std::string>(lines.begin(), lines.end()).size(), 3);
  ExpectError("random { trials: 4 }" + field, "random.trials is 4, but the fields have only 3 different combinations");
}

TEST(PlanTest, TheBaseHasTheSweepsSettings) {
  const auto trials = Plan(R"(recipe: "mnist_bnn_mlp" set: "epochs=3" field { name: "batch_size" value: "10" })");
  ASSERT_TRUE(trials.ok()) << trials.status();
  EXPECT_EQ((*trials)[0].recipe.name(), "mnist_bnn_mlp");
  EXPECT_EQ((*trials)[0].recipe.epochs(), 3);
  EXPECT_FALSE(BaseRecipe(Parse(R"(recipe: "mnist_bnn_mpl")")).ok());
  EXPECT_FALSE(BaseRecipe(Parse(R"(set: "epoch=3")")).ok());
}

TEST(PlanTest, TheExamples) {
  for (const auto& [file, trials] : {std::pair{"learning_rates", 12}, {"halving", 18}}) {
    const auto sweep = LoadSweep(absl::StrCat("sweep/examples/", file, ".textproto"));
    ASSERT_TRUE(sweep.ok()) << sweep.status();
    const auto base = BaseRecipe(*sweep);
    ASSERT_TRUE(base.ok()) << base.status();
    const auto planned = PlanTrials(*sweep, *base);
    ASSERT_TRUE(planned.ok()) << planned.status();
    EXPECT_EQ(planned->size(), trials) << file;
  }
}

TEST(PlanTest, BadSweeps) {
  ExpectError("", "there is nothing to try");
  ExpectError(R"(recipe: "mnist_bnn_mlp" set: "epochs=3")", "there is nothing to try");
  ExpectError(R"(field { name: "optimizer.lerning_rate" value: "0.1" })", "did you mean 'learning_rate'?");
  ExpectError(R"(field { name: "batch_size" value: "ten" })", "'ten' is not a whole number");
  ExpectError(R"(field { name: "batch_size" })", "field 'batch_size' has nothing to try");
  ExpectError(R"(field { value: "10" })", "a field has no name");
  ExpectError(R"(field { name: "batch_size" value: "10" uniform { low: 1 high: 2 values: 2 } })", "values and a range");
  ExpectError(R"(field { name: "batch_size" value: "10" } field { name: "batch_size" value: "20" })", "named twice");
  ExpectError(R"(field { name: "seed" value: "10" })", "write seed: 1 seed: 2");
  ExpectError("seed: 1 seed: 1", "seed 1 is there twice");
  ExpectError(R"(field { name: "optimizer.learning_rate" uniform { low: 2 high: 1 values: 2 } })",
              "from 2 to 1 is none");
  ExpectError(R"(field { name: "optimizer.learning_rate" log_uniform { low: 0 high: 1 values: 2 } })", "positive");
  ExpectError(R"(field { name: "optimizer.learning_rate" uniform { low: 1 high: 2 } })", "needs a number of values");
  ExpectError(R"(random { trials: 2 } field { name: "batch_size" uniform { low: 1 high: 2 values: 2 } })",
              "values: 2 is for grids");
  ExpectError(R"(random { } field { name: "batch_size" value: "10" })", "random.trials is 0");
  ExpectError("random { trials: 2 } seed: 1", "no fields to draw");
  ExpectError(R"(halving { min_epochs: 1 } field { name: "epochs" value: "10" })", "cannot be swept over with halving");
  ExpectError("halving { } seed: 1", "halving.min_epochs is 0; it has to be in 1 .. 12");
  ExpectError("halving { min_epochs: 13 } seed: 1", "halving.min_epochs is 13");
  ExpectError("halving { min_epochs: 1 factor: 1 } seed: 1", "halving.factor is 1");
  ExpectError(R"(field { name: "batch_size" uniform { low: 1 high: 1e6 values: 1000000 } })", "more than 100000");
}

}  // namespace
}  // namespace bitgrad
