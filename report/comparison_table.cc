#include "bitgrad/report/comparison_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "bitgrad/data/fingerprint.h"

namespace bitgrad {
namespace {

// What stands where there is no number.
constexpr char kNone[] = "-";

// "3.21 +- 0.05" with so many decimals; without a deviation where there is one number, or where all are equal.
std::string Number(const Spread& spread, int decimals, absl::string_view unit = "") {
  if (spread.count == 0) return kNone;
  std::string text = absl::StrFormat("%.*f%s", decimals, spread.mean, unit);
  if (spread.deviation > 0) absl::StrAppendFormat(&text, " +- %.*f%s", decimals, spread.deviation, unit);
  return text;
}

// Of whole numbers: decimals where the mean has some.
std::string WholeNumber(const Spread& spread) { return Number(spread, spread.deviation > 0 ? 1 : 0); }

std::string Metric(MetricDisplay display, Spread shown) {
  switch (display) {
    case MetricDisplay::kPerplexity: return Number(shown, 2, shown.count == 0 ? "" : " perplexity");
    case MetricDisplay::kBitsPerCharacter: return Number(shown, 4, shown.count == 0 ? "" : " bpc");
    case MetricDisplay::kErrorPercent: break;
  }
  shown.mean *= 100;
  shown.deviation *= 100;
  return Number(shown, 2, "%");
}

std::string GroupNumber(size_t group) { return absl::StrCat(group + 1); }

std::string NamesOf(const Comparison& comparison, const ComparisonGroup& group) {
  return absl::StrJoin(group.runs, ", ", [&](std::string* out, size_t run) { *out += comparison.names[run]; });
}

// The groups of a data set, "1, 3".
std::string GroupsOf(const Comparison& comparison, size_t data_set) {
  std::vector<std::string> groups;
  for (size_t i = 0; i < comparison.groups.size(); ++i) {
    if (comparison.groups[i].data_set == data_set) groups.push_back(GroupNumber(i));
  }
  return absl::StrJoin(groups, ", ");
}

std::string InColumns(const std::vector<std::vector<std::string>>& cells) {
  std::vector<size_t> widths(cells[0].size());
  for (const auto& line : cells) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const auto& line : cells) {
    std::string columns;
    for (size_t i = 0; i < line.size(); ++i) {
      absl::StrAppendFormat(&columns, "%-*s", static_cast<int>(widths[i]) + 2, line[i]);
    }
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(columns), "\n");
  }
  return text;
}

}  // namespace

std::vector<std::vector<std::string>> ComparisonCells(const Comparison& comparison) {
  std::vector<std::vector<std::string>> cells = {
      {"group", "runs", "epochs", "best_epoch", "valid", "test", "bits", "bytes", "seconds", "names"}};
  for (size_t i = 0; i < comparison.groups.size(); ++i) {
    const ComparisonGroup& group = comparison.groups[i];
    cells.push_back({GroupNumber(i), absl::StrCat(group.runs.size()), WholeNumber(group.epochs),
                     WholeNumber(group.best_epoch), Metric(group.display, group.valid),
                     Metric(group.display, group.test), Number(group.bits, 2), WholeNumber(group.bytes),
                     Number(group.seconds, 1), NamesOf(comparison, group)});
  }
  return cells;
}

std::vector<std::string> ComparisonNotes(const Comparison& comparison) {
  std::vector<std::string> notes;
  if (comparison.data_sets.size() > 1) {
    std::string note = "the runs are of different data, so their errors are not of the same examples:";
    for (size_t i = 0; i < comparison.data_sets.size(); ++i) {
      absl::StrAppend(&note, i == 0 ? " " : "; ", "groups ", GroupsOf(comparison, i), ": ",
                      ToString(comparison.data_sets[i].training));
    }
    notes.push_back(note);
  }
  for (size_t i = 0; i < comparison.runs.size(); ++i) {
    const checkpoint::Header& header = comparison.runs[i].record.header;
    if (header.epochs_size() == header.recipe().epochs()) continue;
    notes.push_back(absl::StrCat(comparison.names[i], " has done ", header.epochs_size(), " of its ",
                                 header.recipe().epochs(), " epochs"));
  }
  return notes;
}

std::string ComparisonTable(const Comparison& comparison) {
  std::string text = InColumns(ComparisonCells(comparison));
  if (!comparison.differences.empty()) absl::StrAppend(&text, "what differs:\n");
  for (size_t i = 0; i < comparison.groups.size() && !comparison.differences.empty(); ++i) {
    absl::StrAppendFormat(&text, "%-3s", GroupNumber(i));
    for (const RecipeDifference& difference : comparison.differences) {
      absl::StrAppend(&text, "  ", difference.path, "=", difference.values[i]);
    }
    absl::StrAppend(&text, "\n");
  }
  for (const std::string& note : ComparisonNotes(comparison)) absl::StrAppend(&text, "note: ", note, "\n");
  return text;
}

std::string FormatBest(const Comparison& comparison) {
  if (!comparison.best.has_value()) return "best=none";
  const size_t run = BestRunOf(comparison, comparison.groups[*comparison.best]);
  const ComparedRun& best = comparison.runs[run];
  return absl::StrCat("best=", comparison.names[run], " ",
                      FormatAs("valid", best.record.display, BestEpochOf(best)->valid_error()));
}

}  // namespace bitgrad
