// HeatMap: a matrix of counts as shades, such as which classes are taken for which.

#ifndef BITGRAD_REPORT_HEAT_MAP_H_
#define BITGRAD_REPORT_HEAT_MAP_H_

#include <cstdint>
#include <string>
#include <vector>

namespace bitgrad::report {

struct HeatMap {
  // In the cells of no more rows than this stand the counts; of no more than kMostNamed each row has its name.
  static constexpr size_t kMostCounts = 12, kMostNamed = 30;

  std::string description;         // what the figure shows, for who does not see it
  std::string x_label, y_label;    // of columns and rows
  std::vector<std::string> names;  // of rows from the top and of columns from the left: the matrix is square
  std::vector<int64_t> counts;     // names.size() ^ 2 of them, row by row; at least 0
};

// The figure as an <svg> element. A cell is the darker the larger its count is beside the row's sum; 0 is empty.
std::string ToSvg(const HeatMap& map);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_HEAT_MAP_H_
