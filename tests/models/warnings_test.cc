// Which runs are warned of, and which are not.

#include "bitgrad/models/diagnostics/warnings.h"

#include <functional>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "bitgrad/tests/models/trainer_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

// A run of ten classes that goes well: four of its eight epochs are done.
RunRecord GoodRun() {
  RunRecord run;
  run.header.set_classes(10);
  run.header.mutable_recipe()->set_epochs(8);
  for (int epoch = 1; epoch <= 4; ++epoch) {
    checkpoint::EpochMetrics& metrics = *run.header.add_epochs();
    metrics.set_epoch(epoch);
    metrics.set_train_error(0.1 / epoch);
    metrics.set_valid_error(0.12 / epoch);
    diagnostics::Epoch& seen = run.diagnostics.emplace_back();
    seen.set_epoch(epoch);
    for (const char* name : {"hidden1", "hidden2"}) {
      checkpoint::LayerMetrics& layer = *metrics.add_layers();
      layer.set_layer(name);
      layer.set_sign_flips(0.003);
      layer.set_at_clip(0.2);
      layer.set_inside_window(0.6);
      diagnostics::Layer& channels = *seen.add_layers();
      channels.set_layer(name);
      channels.set_channels(64);
      channels.set_constant_channels(0.02);
    }
  }
  return run;
}

constexpr int kLast = 3;
checkpoint::LayerMetrics& Hidden2(RunRecord& run) { return *run.header.mutable_epochs(kLast)->mutable_layers(1); }

struct Case {
  const char* rule;
  std::function<void(RunRecord&)> spoil;
  std::string layer;
  std::string says;
};

std::vector<Case> Cases() {
  return {
      {"not-learning", [](RunRecord& run) { run.header.mutable_epochs(kLast)->set_train_error(0.89); }, "",
       "after 4 epochs the training error is 89 %, that of guessing is 90 %"},
      {"validation-jumps", [](RunRecord& run) { run.header.mutable_epochs(kLast)->set_valid_error(0.3); }, "",
       "validation jumps from 4.00% to 30.00% while training falls"},
      {"constant-channels",
       [](RunRecord& run) { run.diagnostics[kLast].mutable_layers(1)->set_constant_channels(0.31); }, "hidden2",
       "hidden2: 31 % of channels are constant"},
      {"saturated-latents", [](RunRecord& run) { Hidden2(run).set_at_clip(0.62); }, "hidden2",
       "hidden2: latents saturate: 62 % at the clip"},
      {"empty-window", [](RunRecord& run) { Hidden2(run).set_inside_window(0.03); }, "hidden2",
       "hidden2: 3 % of activations lie inside"},
      {"restless-signs", [](RunRecord& run) { Hidden2(run).set_sign_flips(0.051); }, "hidden2",
       "hidden2: 5.1 % of signs change in each step"},
      {"frozen-signs", [](RunRecord& run) { Hidden2(run).set_sign_flips(1e-9); }, "hidden2",
       "hidden2: 1e-07 % of signs change in a step"},
  };
}

TEST(WarningsTest, ARunThatGoesWellHasNone) {
  const RunRecord run = GoodRun();
  for (int i = 0; i <= kLast; ++i) EXPECT_THAT(WarningsOf(run, i), IsEmpty());
}

TEST(WarningsTest, EachRuleFiresWhereItIsDeservedAndAlone) {
  std::set<std::string> fired;
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.rule);
    RunRecord run = GoodRun();
    c.spoil(run);
    const std::vector<RunWarning> warnings = WarningsOf(run, kLast);
    ASSERT_EQ(warnings.size(), 1u);
    EXPECT_STREQ(warnings[0].rule->name, c.rule);
    EXPECT_EQ(warnings[0].layer, c.layer);
    EXPECT_THAT(warnings[0].text, AllOf(HasSubstr(c.says), HasSubstr(std::string("docs/training_tips.md#") + c.rule)));
    fired.insert(c.rule);
  }
  for (const WarningRule& rule : AllWarningRules()) {
    EXPECT_EQ(fired.count(rule.name), 1u) << rule.name << " has no case";
    EXPECT_NE(std::string(rule.reason), "");
  }
}

TEST(WarningsTest, WhatWasNotMeasuredIsNoReason) {
  RunRecord run = GoodRun();
  for (checkpoint::EpochMetrics& metrics : *run.header.mutable_epochs()) metrics.clear_layers();
  run.diagnostics.clear();
  for (int i = 0; i <= kLast; ++i) EXPECT_THAT(WarningsOf(run, i), IsEmpty());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (checkpoint::EpochMetrics& metrics : *run.header.mutable_epochs()) metrics.set_valid_error(nan);
  for (int i = 0; i <= kLast; ++i) EXPECT_THAT(WarningsOf(run, i), IsEmpty()) << "no validation examples";
}

TEST(WarningsTest, FewErrorsThatDoubleAreNoJump) {
  RunRecord run = GoodRun();
  run.header.mutable_epochs(kLast - 1)->set_valid_error(0.002);
  run.header.mutable_epochs(kLast)->set_valid_error(0.004);
  EXPECT_THAT(WarningsOf(run, kLast), IsEmpty());
}

TEST(WarningsTest, ATextIsJudgedByItsPerplexity) {
  RunRecord run = GoodRun();
  run.display = MetricDisplay::kPerplexity;
  for (int i = 0; i <= kLast; ++i) {
    run.header.mutable_epochs(i)->set_train_error(5.0 - 0.1 * i);
    run.header.mutable_epochs(i)->set_valid_error(5.0 - 0.1 * i);
  }
  EXPECT_THAT(WarningsOf(run, kLast), IsEmpty());
  run.header.mutable_epochs(kLast)->set_valid_error(8);
  ASSERT_EQ(WarningsOf(run, kLast).size(), 1u);
  EXPECT_THAT(WarningsOf(run, kLast)[0].text, HasSubstr("validation jumps from 121.51 to 2980.96"));
}

TEST(WarningPrinterTest, SaysEachThingOnce) {
  RunRecord run = GoodRun();
  Cases()[3].spoil(run);
  Log log;
  WarningPrinter printer;
  ASSERT_TRUE(printer.Begin(GoodRun(), log.file()).ok());
  ASSERT_TRUE(printer.EpochFinished(run, log.file()).ok());
  ASSERT_TRUE(printer.EpochFinished(run, log.file()).ok());
  run.header.mutable_epochs(kLast)->mutable_layers(0)->set_at_clip(0.9);
  ASSERT_TRUE(printer.EpochFinished(run, log.file()).ok());
  std::fflush(log.file());
  const size_t second = log.text().find("warning: hidden2: latents saturate");
  EXPECT_EQ(log.text().find("warning: "), second);
  EXPECT_NE(log.text().find("warning: hidden1: latents saturate: 90 %"), std::string::npos);
  EXPECT_EQ(log.text().find("hidden2", second + 10), std::string::npos) << log.text();
}

TEST(WarningPrinterTest, AResumedRunHasBeenWarnedAlready) {
  RunRecord run = GoodRun();
  Cases()[3].spoil(run);
  Log log;
  WarningPrinter printer;
  ASSERT_TRUE(printer.Begin(run, log.file()).ok());
  ASSERT_TRUE(printer.EpochFinished(run, log.file()).ok());
  std::fflush(log.file());
  EXPECT_EQ(log.text(), "");
}

}  // namespace
}  // namespace bitgrad
