// A comparison as text.

#ifndef BITGRAD_REPORT_COMPARISON_TABLE_H_
#define BITGRAD_REPORT_COMPARISON_TABLE_H_

#include <string>
#include <vector>

#include "bitgrad/report/comparison.h"

namespace bitgrad {

// The figures as people read them: a first line of headings, and one for each group of the comparison.
//
//   group  runs  epochs  best_epoch  valid            test   bits  bytes  seconds  names
//   1    2     12      11.5 +- 0.7 3.21% +- 0.05%   ...
std::vector<std::vector<std::string>> ComparisonCells(const Comparison& comparison);

// What has to be said beside: runs of different data, runs that have not done all their epochs. One sentence each.
std::vector<std::string> ComparisonNotes(const Comparison& comparison);

// The cells in columns; behind them, for each group, the fields in which its recipe differs from the others'; then the
// notes.
std::string ComparisonTable(const Comparison& comparison);

// What the last lines of programs say of the best group: its best run, and what that has in validation, "best=NAME
// valid_error=3.21%"; "best=none" where no group is the best one.
std::string FormatBest(const Comparison& comparison);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_COMPARISON_TABLE_H_
