// Comparison: several runs side by side. Runs that differ in nothing but their seed are one group, with the mean and
// the standard deviation of its figures.
//
//   std::vector<ComparedRun> runs;
//   for (const std::string& folder : folders) {
//     BITGRAD_ASSIGN_OR_RETURN(runs.emplace_back(), LoadComparedRun(folder));
//   }
//   std::printf("%s", ComparisonTable(Compare(std::move(runs))).c_str());    // comparison_table.h

#ifndef BITGRAD_REPORT_COMPARISON_H_
#define BITGRAD_REPORT_COMPARISON_H_

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/models/recipe_values.h"
#include "bitgrad/models/training/metric_display.h"
#include "bitgrad/proto/checkpoint.pb.h"
#include "bitgrad/proto/fingerprint.pb.h"
#include "bitgrad/report/frozen_size.h"

namespace bitgrad {

struct ComparedRun {
  RunRecord record;
  absl::optional<FrozenSize> frozen;  // of its best model; nothing where that has no packed form, or there is none yet
};

// Reads the run in the folder, and how large its best model is once it is frozen. Errors are those of LoadRunRecord().
// `warnings`, where it is not null, gets a line for each file that is damaged, a best.bgc that is missing among them.
absl::StatusOr<ComparedRun> LoadComparedRun(const std::string& folder, std::vector<std::string>* warnings = nullptr);

// The epoch whose model counts; null where none is complete.
const checkpoint::EpochMetrics* BestEpochOf(const ComparedRun& run);

// Of the numbers that are finite.
struct Spread {
  int count = 0;
  double mean = std::nan("");       // NaN where there are none
  double deviation = std::nan("");  // sqrt(sum (x - mean)^2 / (count - 1)); NaN of fewer than two
};
Spread SpreadOf(absl::Span<const double> numbers);

struct ComparisonGroup {
  std::vector<size_t> runs;  // their places in Comparison::runs
  size_t data_set = 0;       // its place in Comparison::data_sets
  MetricDisplay display = MetricDisplay::kErrorPercent;
  Spread epochs;       // that are complete
  Spread best_epoch;   // the one that best.bgc has
  Spread valid, test;  // what that epoch has measured, as Shown(display, ..) has it
  Spread bits, bytes;  // FrozenSize
  Spread seconds;      // of training, all complete epochs
};

struct ComparedDataSet {
  bitgrad::fingerprint::DataSet training, validation, test;
};

struct Comparison {
  std::vector<ComparedRun> runs;   // in the order in which they were given
  std::vector<std::string> names;  // of the runs: their folders, without the part of the path that all have in common
  std::vector<ComparisonGroup> groups;  // in the order of their first runs
  std::vector<ComparedDataSet> data_sets;
  // The fields of recipes that are not the same in all groups, with a value for each group. Seeds are not among them.
  std::vector<RecipeDifference> differences;
  // The group whose validation says that it is the best one, the first of several. Nothing where groups cannot be
  // compared: they are of several data sets, or have several kinds of metrics; or nothing validates.
  absl::optional<size_t> best;
};

Comparison Compare(std::vector<ComparedRun> runs);

// Of the runs of a group that has some, the one with the least validation error; the first one where nothing validates.
size_t BestRunOf(const Comparison& comparison, const ComparisonGroup& group);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_COMPARISON_H_
