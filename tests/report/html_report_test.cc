// Reports of runs that are made up: well formed, complete, offline, whatever the run is like.

#include "bitgrad/report/html_report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/tests/report/run_testing.h"
#include "bitgrad/tests/report/xml_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The page, parsed. Whatever it shows, it is well formed, loads nothing and has no number that is none.
XmlElement PageOf(const RunRecord& run) {
  const HtmlReport report = MakeReport(run);
  absl::StatusOr<XmlElement> page = ParseXml(report.html);
  if (!page.ok()) {
    ADD_FAILURE() << page.status();
    return {};
  }
  EXPECT_THAT(page->All("figure"), SizeIs(static_cast<size_t>(report.figures)));
  EXPECT_THAT(page->All("script"), IsEmpty());
  EXPECT_THAT(page->All("link"), IsEmpty());
  for (const XmlElement* style : page->All("style")) {
    EXPECT_FALSE(absl::StrContains(style->text, "url(") || absl::StrContains(style->text, "@import"));
  }
  for (const char* name : {"img", "image", "a", "use", "iframe", "object", "embed", "source"}) {
    for (const XmlElement* element : page->All(name)) {
      EXPECT_THAT((*element)["href"], "");
      EXPECT_TRUE(absl::StartsWith((*element)["src"], "data:image/png;base64,"));
    }
  }
  for (const char* name : {"path", "circle", "rect", "text", "svg"}) {
    for (const XmlElement* element : page->All(name)) {
      for (const auto& [attribute, value] : element->attributes) {
        if (attribute == "aria-label" || attribute == "font-family") continue;
        EXPECT_FALSE(absl::StrContains(value, "nan") || absl::StrContains(value, "inf")) << attribute << " " << value;
      }
    }
  }
  return *std::move(page);
}

std::vector<std::string> FiguresOf(const XmlElement& page) {
  std::vector<std::string> ids;
  for (const XmlElement* figure : page.All("figure")) ids.push_back((*figure)["id"]);
  return ids;
}

// How many elements of that name the figure has; -1 where there is no such figure.
int Count(const XmlElement& page, const std::string& figure, const char* element) {
  const XmlElement* found = page.Find("figure-" + figure);
  return found == nullptr ? -1 : static_cast<int>(found->All(element).size());
}

// The points of the longest path.
int LongestPath(const XmlElement& figure) {
  int longest = 0;
  for (const XmlElement* path : figure.All("path")) {
    int points = 0;
    for (const char c : (*path)["d"]) points += c == 'M' || c == 'L';
    longest = std::max(longest, points);
  }
  return longest;
}

TEST(HtmlReportTest, HasEveryFigureWithItsData) {
  const XmlElement page = PageOf(MakeUp({.epochs = 12}));
  EXPECT_THAT(FiguresOf(page),
              ElementsAre("figure-loss", "figure-error", "figure-learning-rate", "figure-model-average-weight-bits",
                          "figure-sign-flips", "figure-at-clip", "figure-inside-window", "figure-flipped-back",
                          "figure-gradient-norm", "figure-constant-channels", "figure-dead-channels",
                          "figure-layer-weight-bits", "figure-weights-hidden1", "figure-weights-hidden2",
                          "figure-weights-output", "figure-confusion", "figure-confused-pairs", "figure-mistakes",
                          "figure-filters", "figure-step-time", "figure-step-memory", "figure-step-parts"));
  // Points are dots: as many as epochs, for each curve.
  const std::map<std::string, int> dots = {{"loss", 2 * 12},          {"error", 3 * 12},
                                           {"learning-rate", 12},     {"model-average-weight-bits", 12},
                                           {"sign-flips", 3 * 12},    {"at-clip", 3 * 12},
                                           {"inside-window", 3 * 12}, {"flipped-back", 3 * 12},
                                           {"gradient-norm", 3 * 12}, {"constant-channels", 3 * 12},
                                           {"dead-channels", 3 * 12}, {"layer-weight-bits", 3 * 12}};
  for (const auto& [figure, count] : dots) EXPECT_EQ(Count(page, figure, "circle"), count) << figure;
  EXPECT_EQ(Count(page, "mistakes", "img"), 5);
  EXPECT_EQ(Count(page, "filters", "img"), 5);
  // Cells that are not empty, and the frame: i % 3 == 0 off the diagonal is none.
  EXPECT_EQ(Count(page, "confusion", "rect"), 16 - 4 + 1);
  // A bar for each layer and phase, and the update.
  EXPECT_EQ(Count(page, "step-time", "rect"), 3 * 2 + 1);
  EXPECT_THAT(page.Find("figure-sign-flips")->text, HasSubstr("hidden2, epoch 4: 0.25"));
  EXPECT_THAT(page.text, HasSubstr("train --resume --out='/runs/made up'"));
  EXPECT_THAT(page.text, HasSubstr("name: \"made_up\""));
  EXPECT_THAT(page.text, HasSubstr("A processor"));
}

TEST(HtmlReportTest, WhatWasNotMeasuredIsNotShown) {
  RunRecord run = MakeUp({.epochs = 3});
  run.diagnostics.clear();
  run.latest.Clear();
  for (checkpoint::EpochMetrics& epoch : *run.header.mutable_epochs()) {
    epoch.clear_layers();
    epoch.clear_values();
    epoch.clear_penalty();
    epoch.set_valid_error(kNaN);
  }
  const XmlElement page = PageOf(run);
  EXPECT_THAT(FiguresOf(page), ElementsAre("figure-loss", "figure-error", "figure-learning-rate"));
  EXPECT_EQ(Count(page, "error", "circle"), 2 * 3);
  std::vector<std::string> headings;
  for (const XmlElement* heading : page.All("h2")) headings.push_back(heading->text);
  EXPECT_THAT(headings, ElementsAre("Progress", "Recipe"));
}

TEST(HtmlReportTest, HostileNamesAreText) {
  const std::string hostile = "<script>alert(\"x\")</script>&amp;' ]]> \x01 \xFF\xC3 \xEF\xBF\xBF <!--";
  const std::string shown =
      "<script>alert(\"x\")</script>&amp;' ]]> \xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD <!--";
  RunRecord run = MakeUp({.epochs = 2, .layers = {hostile, "\" onload=\"x"}});
  run.folder = hostile;
  run.header.mutable_recipe()->set_name(hostile);
  run.header.mutable_recipe()->set_description(hostile);
  run.header.set_class_names(0, hostile);
  for (checkpoint::EpochMetrics& epoch : *run.header.mutable_epochs()) epoch.mutable_values(0)->set_name(hostile);
  run.latest.mutable_machine()->set_processor(hostile);
  run.latest.mutable_commands(0)->set_purpose(hostile);
  run.latest.mutable_commands(0)->set_command(hostile);
  diagnostics::Sample& sample = *run.latest.add_samples();
  sample.set_prompt(hostile);
  sample.set_text(hostile);
  const XmlElement page = PageOf(run);
  for (const char* element : {"title", "h1", "pre", "blockquote", "dd"}) {
    const std::vector<const XmlElement*> found = page.All(element);
    ASSERT_THAT(found, Not(IsEmpty())) << element;
    EXPECT_THAT(found[0]->text, HasSubstr(shown)) << element;
  }
  EXPECT_EQ(Count(page, "sign-flips", "circle"), 2 * 2);
}

TEST(HtmlReportTest, ADivergedRunHasPlots) {
  RunRecord run = MakeUp({.epochs = 6});
  run.header.mutable_epochs(1)->set_loss(kNaN);
  run.header.mutable_epochs(3)->set_loss(kInfinity);
  run.header.mutable_epochs(4)->set_loss(1e308);
  for (checkpoint::EpochMetrics& epoch : *run.header.mutable_epochs()) {
    epoch.clear_penalty();
    epoch.set_learning_rate(kNaN);
    epoch.mutable_layers(0)->set_at_clip(kNaN);
    epoch.set_seconds(kNaN);
  }
  run.diagnostics[2].mutable_layers(0)->mutable_weights()->set_high(kNaN);
  run.diagnostics[3].mutable_layers(0)->mutable_weights()->clear_counts();
  run.diagnostics[5].mutable_parts(0)->set_seconds(kNaN);
  run.latest.mutable_mistakes(0)->set_label_share(kNaN);
  run.latest.mutable_mistakes(0)->mutable_picture()->set_height(1000);
  const XmlElement page = PageOf(run);
  EXPECT_EQ(Count(page, "loss", "circle"), 4);
  EXPECT_EQ(Count(page, "learning-rate", "circle"), -1);
  EXPECT_EQ(Count(page, "at-clip", "circle"), 2 * 6);
  EXPECT_EQ(Count(page, "mistakes", "img"), 4);
  // Three paths for each of the four histograms that there are.
  int filled = 0;
  for (const XmlElement* path : page.Find("figure-weights-hidden1")->All("path")) filled += (*path)["class"] == "page";
  EXPECT_EQ(filled, 4);
}

TEST(HtmlReportTest, RunsOfAnyLength) {
  const XmlElement none = PageOf(MakeUp({.epochs = 0}));
  EXPECT_THAT(FiguresOf(none), IsEmpty());
  EXPECT_THAT(none.text, HasSubstr("No epoch of 0 is complete yet."));
  const XmlElement one = PageOf(MakeUp({.epochs = 1}));
  EXPECT_EQ(Count(one, "error", "circle"), 3);
  EXPECT_EQ(Count(one, "sign-flips", "circle"), 3);
  const RunRecord thousand = MakeUp({.epochs = 1000});
  const XmlElement page = PageOf(thousand);
  EXPECT_EQ(Count(page, "error", "circle"), 0);
  for (const char* figure : {"loss", "error", "sign-flips", "gradient-norm"}) {
    const int points = LongestPath(*page.Find(absl::StrCat("figure-", figure)));
    EXPECT_GE(points, 100) << figure;
    EXPECT_LE(points, 200) << figure;
  }
  EXPECT_LT(MakeReport(thousand).html.size(), 500'000);
}

TEST(HtmlReportTest, ThinnedCurvesKeepTheirPeaks) {
  RunRecord run = MakeUp({.epochs = 1000});
  for (checkpoint::EpochMetrics& epoch : *run.header.mutable_epochs()) {
    epoch.clear_penalty();
    epoch.set_loss(1);
  }
  run.header.mutable_epochs(776)->set_loss(2);
  const XmlElement page = PageOf(run);
  // The peak is the highest point of the frame, which lies at 18.
  bool found = false;
  for (const XmlElement* path : page.Find("figure-loss")->All("path")) {
    found |= (*path)["class"] == "l0" && absl::StrContains((*path)["d"], " 18L");
  }
  EXPECT_TRUE(found);
}

TEST(HtmlReportTest, ALayerMayComeLater) {
  RunRecord run = MakeUp({.epochs = 5});
  for (int epoch = 0; epoch < 3; ++epoch) {
    run.header.mutable_epochs(epoch)->mutable_layers()->DeleteSubrange(1, 1);
    run.diagnostics[static_cast<size_t>(epoch)].mutable_layers()->DeleteSubrange(1, 1);
  }
  const XmlElement page = PageOf(run);
  EXPECT_EQ(Count(page, "sign-flips", "circle"), 5 + 2 + 5);
  EXPECT_EQ(Count(page, "gradient-norm", "circle"), 5 + 2 + 5);
  EXPECT_THAT(page.Find("figure-sign-flips")->text, HasSubstr("hidden2, epoch 4: "));
  EXPECT_THAT(page.Find("figure-sign-flips")->text, Not(HasSubstr("hidden2, epoch 3: ")));
}

TEST(HtmlReportTest, TextsHaveTheirOwnFigures) {
  RunRecord run = MakeUp({.epochs = 3});
  for (const auto& [display, figure] :
       {std::pair(MetricDisplay::kPerplexity, "perplexity"), std::pair(MetricDisplay::kBitsPerCharacter, "bpc")}) {
    run.display = display;
    const XmlElement page = PageOf(run);
    EXPECT_EQ(Count(page, "error", "circle"), -1);
    EXPECT_EQ(Count(page, figure, "circle"), 3 * 3);
    EXPECT_EQ(page.Find("figure-samples"), nullptr);
  }
  diagnostics::Sample& sample = *run.latest.add_samples();
  sample.set_prompt("The ");
  sample.set_text("king\n  is dead");
  EXPECT_THAT(PageOf(run).Find("figure-samples")->text, HasSubstr("The king\n  is dead"));
}

TEST(HtmlReportTest, ManyLayersAndClasses) {
  std::vector<std::string> layers;
  for (int i = 0; i < 40; ++i)
    layers.push_back(absl::StrCat("stage", i / 10, ".block", i % 10, "/convolution_with_a_name"));
  const XmlElement page = PageOf(MakeUp({.epochs = 12, .layers = layers, .classes = 100}));
  size_t named = 0;
  for (const XmlElement* text : page.Find("figure-sign-flips")->All("text")) {
    named += std::count(layers.begin(), layers.end(), text->text);
  }
  EXPECT_EQ(named, layers.size());
  // Shades are paths, not a hundred times a hundred rectangles.
  EXPECT_EQ(Count(page, "confusion", "rect"), 1);
}

}  // namespace
}  // namespace bitgrad
