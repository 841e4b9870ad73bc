#include "bitgrad/report/comparison_page.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/report/comparison_table.h"
#include "bitgrad/report/html_page.h"
#include "bitgrad/report/line_plot.h"
#include "bitgrad/report/markup.h"

namespace bitgrad {
namespace {

// More curves than this in one figure cannot be told apart.
constexpr size_t kMostCurves = 12;
// More fields do not fit into a legend.
constexpr size_t kMostNamedDifferences = 3;

using EpochNumber = absl::FunctionRef<double(const checkpoint::EpochMetrics&)>;

// The first line has headings.
std::string TableMarkup(const std::vector<std::vector<std::string>>& cells) {
  std::string markup = "<div class=\"scroll\"><table>\n";
  for (size_t i = 0; i < cells.size(); ++i) {
    const char* const tag = i == 0 ? "th" : "td";
    markup += "<tr>";
    for (const std::string& cell : cells[i]) {
      absl::StrAppend(&markup, "<", tag, ">", report::Escaped(cell), "</", tag, ">");
    }
    markup += "</tr>\n";
  }
  return markup + "</table></div>\n";
}

std::vector<std::vector<std::string>> DifferenceCells(const Comparison& comparison) {
  std::vector<std::vector<std::string>> cells = {{"group"}};
  for (const RecipeDifference& difference : comparison.differences) cells[0].push_back(difference.path);
  for (size_t i = 0; i < comparison.groups.size(); ++i) {
    std::vector<std::string>& line = cells.emplace_back();
    line.push_back(absl::StrCat(i + 1));
    for (const RecipeDifference& difference : comparison.differences) line.push_back(difference.values[i]);
  }
  return cells;
}

// What a curve is called: by what differs, "2: learning_rate=0.01", where that is little; else by runs, "3: run_c and 4
// more".
std::string CurveName(const Comparison& comparison, size_t group) {
  std::string name = absl::StrCat(group + 1, ":");
  if (const size_t count = comparison.differences.size(); count > 0 && count <= kMostNamedDifferences) {
    for (const RecipeDifference& difference : comparison.differences) {
      const std::string field = difference.path.substr(difference.path.rfind('.') + 1);
      absl::StrAppend(&name, " ", field, "=", difference.values[group]);
    }
    return name;
  }
  const std::vector<size_t>& runs = comparison.groups[group].runs;
  return absl::StrCat(name, " ", comparison.names[runs[0]],
                      runs.size() > 1 ? absl::StrCat(" and ", runs.size() - 1, " more") : "");
}

// The mean over those of the group's runs that have the epoch.
report::Series MeanCurve(const Comparison& comparison, size_t group, EpochNumber number) {
  report::Series curve = {.name = CurveName(comparison, group), .x = {}, .y = {}};
  for (int epoch = 0;; ++epoch) {
    std::vector<double> numbers;
    bool has_epoch = false;
    for (const size_t run : comparison.groups[group].runs) {
      const checkpoint::Header& header = comparison.runs[run].record.header;
      if (epoch >= header.epochs_size()) continue;
      has_epoch = true;
      numbers.push_back(number(header.epochs(epoch)));
    }
    if (!has_epoch) return curve;
    curve.x.push_back(epoch + 1);
    curve.y.push_back(SpreadOf(numbers).mean);
  }
}

// The best groups of those whose metric is shown in this way, in their order.
std::vector<size_t> ShownGroups(const Comparison& comparison, MetricDisplay display) {
  std::vector<size_t> groups;
  for (size_t i = 0; i < comparison.groups.size(); ++i) {
    if (comparison.groups[i].display == display) groups.push_back(i);
  }
  const auto valid = [&](size_t group) {
    const double mean = comparison.groups[group].valid.mean;
    return std::isnan(mean) ? HUGE_VAL : mean;
  };
  std::stable_sort(groups.begin(), groups.end(), [&](size_t a, size_t b) { return valid(a) < valid(b); });
  if (groups.size() > kMostCurves) groups.resize(kMostCurves);
  std::sort(groups.begin(), groups.end());
  return groups;
}

void AddCurves(const Comparison& comparison, MetricDisplay display, report::HtmlPage& page) {
  const std::vector<size_t> groups = ShownGroups(comparison, display);
  if (groups.empty()) return;
  const bool percent = display == MetricDisplay::kErrorPercent;
  const std::string metric = percent ? "error, %" : KeyOf(display);
  const auto shown = [&](double mean) { return percent ? 100 * mean : Shown(display, mean); };
  const auto add = [&](const std::string& name, const std::string& title, const std::string& unit, EpochNumber number) {
    report::LinePlot plot = {.description = title, .x_label = "epoch", .y_label = unit, .may_be_logarithmic = true};
    for (const size_t group : groups) plot.series.push_back(MeanCurve(comparison, group, number));
    if (!HasData(plot)) return;
    page.Figure(absl::StrCat(name, "-", KeyOf(display)), title, ToSvg(plot), "");
  };
  page.BeginSection(percent ? "Curves" : absl::StrCat("Curves of ", KeyOf(display)));
  const bool all = groups.size() == comparison.groups.size();
  page.Paragraph(absl::StrCat(
      "Each curve is the mean over the runs of a group.",
      all ? "" : absl::StrCat(" Of the groups, those ", groups.size(), " are shown that are best in validation.")));
  add("valid", "Validation", metric, [&](const checkpoint::EpochMetrics& epoch) { return shown(epoch.valid_error()); });
  add("train", "Training", metric, [&](const checkpoint::EpochMetrics& epoch) { return shown(epoch.train_error()); });
  add("test", "Test", metric, [&](const checkpoint::EpochMetrics& epoch) { return shown(epoch.test_error()); });
  add("loss", "Loss", "loss", [](const checkpoint::EpochMetrics& epoch) { return epoch.loss(); });
  add("rate", "Learning rate", "learning rate",
      [](const checkpoint::EpochMetrics& epoch) { return epoch.learning_rate(); });
}

}  // namespace

std::string ComparisonPage(const Comparison& comparison) {
  report::HtmlPage page(absl::StrCat("Comparison of ", comparison.runs.size(), " runs"));
  page.Markup(absl::StrCat("<h1>Comparison of ", comparison.runs.size(), " runs</h1>\n"));
  page.BeginSection("Figures");
  page.Markup(TableMarkup(ComparisonCells(comparison)));
  page.Paragraph(
      "Of the epoch that is best in validation; with several runs, mean +- standard deviation. Bits and bytes "
      "are those of the frozen model, bits the mean over its numbers; seconds are those of training.");
  if (comparison.best.has_value()) page.Paragraph(FormatBest(comparison));
  for (const std::string& note : ComparisonNotes(comparison)) page.Paragraph(absl::StrCat("Note: ", note));
  if (!comparison.differences.empty()) {
    page.BeginSection("What differs");
    page.Markup(TableMarkup(DifferenceCells(comparison)));
  }
  for (const MetricDisplay display :
       {MetricDisplay::kErrorPercent, MetricDisplay::kPerplexity, MetricDisplay::kBitsPerCharacter}) {
    AddCurves(comparison, display, page);
  }
  return std::move(page).Finish();
}

absl::Status WriteComparisonPage(const Comparison& comparison, const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append(ComparisonPage(comparison)));
  return file.Commit();
}

}  // namespace bitgrad
