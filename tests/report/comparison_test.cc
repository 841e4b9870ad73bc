// Comparisons of runs whose records are made by hand.

#include "bitgrad/report/comparison.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/report/comparison_page.h"
#include "bitgrad/report/comparison_table.h"
#include "bitgrad/tests/report/xml_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Made {
  std::string folder;
  uint64_t seed = 1;
  double rate = 0.01;
  std::vector<double> valid;  // of the epochs
  uint32_t labels = 1;        // of the data's fingerprint
  int epochs = 3;             // of the recipe
};

ComparedRun Run(const Made& made) {
  ComparedRun run;
  run.record.folder = made.folder;
  checkpoint::Header& header = run.record.header;
  header.mutable_recipe()->set_name("net");
  header.mutable_recipe()->set_seed(made.seed);
  header.mutable_recipe()->set_epochs(made.epochs);
  header.mutable_recipe()->mutable_optimizer()->set_learning_rate(made.rate);
  header.mutable_training_data()->set_name("digits");
  header.mutable_training_data()->set_images(100);
  header.mutable_training_data()->set_labels_crc32(made.labels);
  for (const double valid : made.valid) {
    checkpoint::EpochMetrics& epoch = *header.add_epochs();
    epoch.set_epoch(header.epochs_size());
    epoch.set_valid_error(valid);
    epoch.set_test_error(valid + 0.25);
    epoch.set_seconds(2);
    if (const int best = header.progress().best_epoch(); best == 0 || valid <= header.epochs(best - 1).valid_error()) {
      header.mutable_progress()->set_best_epoch(header.epochs_size());
    }
  }
  return run;
}

std::vector<ComparedRun> Runs(const std::vector<Made>& made) {
  std::vector<ComparedRun> runs;
  for (const Made& run : made) runs.push_back(Run(run));
  return runs;
}

TEST(SpreadTest, MeanAndStandardDeviation) {
  const Spread spread = SpreadOf({2, 4, 4, 6});
  EXPECT_EQ(spread.count, 4);
  EXPECT_EQ(spread.mean, 4);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(8.0 / 3));
}

TEST(SpreadTest, OfFewNumbersAndOfNone) {
  EXPECT_EQ(SpreadOf({5}).mean, 5);
  EXPECT_TRUE(std::isnan(SpreadOf({5}).deviation));
  EXPECT_EQ(SpreadOf({}).count, 0);
  EXPECT_TRUE(std::isnan(SpreadOf({}).mean));
  EXPECT_EQ(SpreadOf({kNaN, 3, HUGE_VAL, 5}).count, 2);
  EXPECT_EQ(SpreadOf({kNaN, 3, HUGE_VAL, 5}).mean, 4);
}

TEST(CompareTest, RunsThatDifferInTheirSeedAloneAreOneGroup) {
  const Comparison comparison = Compare(Runs({{.folder = "a", .seed = 1, .valid = {0.5, 0.25}},
                                              {.folder = "b", .rate = 0.1, .valid = {0.5}},
                                              {.folder = "c", .seed = 2, .valid = {0.75, 0.5, 0.625}}}));
  ASSERT_EQ(comparison.groups.size(), 2);
  const ComparisonGroup& group = comparison.groups[0];
  EXPECT_THAT(group.runs, ElementsAre(0, 2));
  EXPECT_THAT(comparison.groups[1].runs, ElementsAre(1));
  // Best are the second epochs: 0.25 and 0.5.
  EXPECT_EQ(group.valid.mean, 0.375);
  EXPECT_DOUBLE_EQ(group.valid.deviation, std::sqrt(2 * 0.125 * 0.125));
  EXPECT_EQ(group.test.mean, 0.625);
  EXPECT_EQ(group.best_epoch.mean, 2);
  EXPECT_EQ(group.epochs.mean, 2.5);
  EXPECT_EQ(group.seconds.mean, 5);
  ASSERT_EQ(comparison.differences.size(), 1);
  EXPECT_EQ(comparison.differences[0].path, "optimizer.learning_rate");
  EXPECT_THAT(comparison.differences[0].values, ElementsAre("0.01", "0.1"));
  EXPECT_EQ(comparison.best, 0);
  EXPECT_EQ(BestRunOf(comparison, group), 0);
}

TEST(CompareTest, ARecipesOtherFieldsMakeGroups) {
  const Comparison comparison =
      Compare(Runs({{.folder = "a", .valid = {0.5}}, {.folder = "b", .valid = {0.5}, .epochs = 4}}));
  ASSERT_EQ(comparison.groups.size(), 2);
  ASSERT_EQ(comparison.differences.size(), 1);
  EXPECT_EQ(comparison.differences[0].path, "epochs");
}

TEST(CompareTest, OtherDataIsSaid) {
  const Comparison comparison = Compare(Runs({{.folder = "a", .valid = {0.5}},
                                              {.folder = "b", .valid = {0.25}, .labels = 2},
                                              {.folder = "c", .seed = 2, .valid = {0.5}}}));
  ASSERT_EQ(comparison.groups.size(), 2);
  EXPECT_EQ(comparison.data_sets.size(), 2);
  EXPECT_FALSE(comparison.best.has_value());
  const std::string table = ComparisonTable(comparison);
  EXPECT_THAT(table, HasSubstr("note: the runs are of different data"));
  EXPECT_THAT(table, HasSubstr("groups 1: digits: 100 images"));
  EXPECT_THAT(table, HasSubstr("groups 2: digits: 100 images"));
  EXPECT_EQ(FormatBest(comparison), "best=none");
}

TEST(CompareTest, NamesLackWhatAllFoldersHaveInCommon) {
  EXPECT_THAT(Compare(Runs({{.folder = "/runs/a/"}, {.folder = "/runs/b"}})).names, ElementsAre("a", "b"));
  EXPECT_THAT(Compare(Runs({{.folder = "/runs/x/a"}, {.folder = "/runs/xy/a"}})).names, ElementsAre("x/a", "xy/a"));
  EXPECT_THAT(Compare(Runs({{.folder = "a"}, {.folder = "/runs/b"}})).names, ElementsAre("a", "/runs/b"));
  EXPECT_THAT(Compare(Runs({{.folder = "/runs/a"}})).names, ElementsAre("a"));
}

TEST(CompareTest, WithoutValidationNothingIsBest) {
  const Comparison comparison = Compare(Runs({{.folder = "a", .valid = {kNaN, kNaN}}}));
  EXPECT_EQ(comparison.groups[0].valid.count, 0);
  EXPECT_FALSE(comparison.best.has_value());
}

TEST(CompareTest, ARunThatHasNotDoneAnEpoch) {
  const Comparison comparison = Compare(Runs({{.folder = "a"}, {.folder = "b", .rate = 1, .valid = {0.5}}}));
  EXPECT_EQ(comparison.groups[0].valid.count, 0);
  EXPECT_EQ(comparison.groups[0].epochs.mean, 0);
  EXPECT_EQ(comparison.best, 1);
  EXPECT_THAT(ComparisonTable(comparison), HasSubstr("note: a has done 0 of its 3 epochs"));
}

TEST(TableTest, IsInColumns) {
  std::vector<ComparedRun> runs = Runs({{.folder = "a", .seed = 1, .valid = {0.5, 0.25, 0.5}},
                                        {.folder = "b", .seed = 2, .valid = {0.5, 0.5, 0.375}},
                                        {.folder = "c", .rate = 0.1, .valid = {0.125, 0.25, 0.5}}});
  runs[2].frozen = FrozenSize{.bytes = 1234, .bits = 1.25};
  EXPECT_EQ(ComparisonTable(Compare(std::move(runs))),
            "group  runs  epochs  best_epoch  valid            test             bits  bytes  seconds  names\n"
            "1      2     3       2.5 +- 0.7  31.25% +- 8.84%  56.25% +- 8.84%  -     -      6.0      a, b\n"
            "2      1     3       1           12.50%           37.50%           1.25  1234   6.0      c\n"
            "what differs:\n"
            "1    optimizer.learning_rate=0.01\n"
            "2    optimizer.learning_rate=0.1\n");
}

TEST(TableTest, TextsHavePerplexitiesAndBits) {
  std::vector<ComparedRun> runs =
      Runs({{.folder = "a", .valid = {std::log(80.0)}}, {.folder = "b", .rate = 0.1, .valid = {2 * std::log(2.0)}}});
  runs[0].record.display = MetricDisplay::kPerplexity;
  runs[1].record.display = MetricDisplay::kBitsPerCharacter;
  const Comparison comparison = Compare(std::move(runs));
  const std::string table = ComparisonTable(comparison);
  EXPECT_THAT(table, HasSubstr("80.00 perplexity"));
  EXPECT_THAT(table, HasSubstr("2.0000 bpc"));
  EXPECT_FALSE(comparison.best.has_value());
}

TEST(TableTest, TheBestRunIsNamed) {
  const Comparison comparison = Compare(Runs({{.folder = "r/a", .seed = 1, .valid = {0.5}},
                                              {.folder = "r/b", .seed = 2, .valid = {0.25}},
                                              {.folder = "r/c", .rate = 0.1, .valid = {0.4375}}}));
  EXPECT_EQ(comparison.best, 0);
  EXPECT_EQ(FormatBest(comparison), "best=b valid_error=25.00%");
}

// How often the text has the word.
int CountOf(const std::string& text, const std::string& word) {
  int count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

TEST(PageTest, HasTablesAndCurves) {
  const std::string page = ComparisonPage(Compare(Runs({{.folder = "r/a<b", .seed = 1, .valid = {0.5, 0.25}},
                                                        {.folder = "r/c", .seed = 2, .valid = {0.5, 0.25}},
                                                        {.folder = "r/d", .rate = 0.1, .valid = {0.125, 0.25}}})));
  const absl::StatusOr<XmlElement> xml = ParseXml(page);
  ASSERT_TRUE(xml.ok()) << xml.status();
  EXPECT_THAT(page, HasSubstr("<td>a&lt;b, c</td>"));
  EXPECT_THAT(page, Not(HasSubstr("a<b")));
  EXPECT_THAT(page, HasSubstr("<th>optimizer.learning_rate</th>"));
  EXPECT_THAT(page, HasSubstr("best=d valid_error=12.50%"));
  for (const char* const figure : {"valid", "train", "test", "loss", "rate"}) {
    EXPECT_EQ(CountOf(page, std::string("<figure id=\"figure-") + figure + "-error\">"), 1) << figure;
  }
  // Of each figure, the curves of both groups.
  EXPECT_EQ(CountOf(page, ">1: learning_rate=0.01<"), 5);
  EXPECT_EQ(CountOf(page, ">2: learning_rate=0.1<"), 5);
}

TEST(PageTest, CurvesAreMeansOverTheRunsThatHaveTheEpoch) {
  const std::string page = ComparisonPage(Compare(
      Runs({{.folder = "a", .seed = 1, .valid = {0.5, 0.25, 0.125}}, {.folder = "b", .seed = 2, .valid = {0.25}}})));
  // Tooltips of the points.
  EXPECT_THAT(page, HasSubstr("1: a and 1 more, epoch 1: 37.5<"));
  EXPECT_THAT(page, HasSubstr("1: a and 1 more, epoch 2: 25<"));
  EXPECT_THAT(page, HasSubstr("1: a and 1 more, epoch 3: 12.5<"));
}

TEST(PageTest, WhatWasNotMeasuredHasNoFigure) {
  const std::string page = ComparisonPage(Compare(Runs({{.folder = "a", .valid = {kNaN, kNaN}}})));
  EXPECT_THAT(page, Not(HasSubstr("figure-valid-error")));
  EXPECT_THAT(page, HasSubstr("figure-train-error"));
  EXPECT_THAT(page, Not(HasSubstr("What differs")));
}

TEST(PageTest, OfManyGroupsTheBestHaveCurves) {
  std::vector<Made> many;
  for (int i = 0; i < 20; ++i)
    many.push_back({.folder = "r" + std::to_string(i), .rate = 1.0 + i, .valid = {0.02 * i}});
  const std::string page = ComparisonPage(Compare(Runs(many)));
  EXPECT_THAT(page, HasSubstr("those 12 are shown that are best in validation"));
  EXPECT_THAT(page, HasSubstr(">12: learning_rate=12<"));
  EXPECT_THAT(page, Not(HasSubstr(">13: learning_rate=13<")));
  EXPECT_THAT(page, HasSubstr("<td>r19</td>"));
}

}  // namespace
}  // namespace bitgrad
