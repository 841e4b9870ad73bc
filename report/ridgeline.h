// Ridgeline: histograms of the same quantity at several times, one above the other.

#ifndef BITGRAD_REPORT_RIDGELINE_H_
#define BITGRAD_REPORT_RIDGELINE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace bitgrad::report {

struct Ridgeline {
  // Of more rows, so many that lie evenly spread are shown, the first and the last one among them.
  static constexpr size_t kMostRows = 12;

  std::string description;  // what the figure shows, for who does not see it
  std::string x_label, y_label;
  struct Row {
    std::string name;
    double low = 0, high = 0;     // the bins divide [low, high]
    std::vector<int64_t> counts;  // of the bins; at least 0
  };
  std::vector<Row> rows;  // the first one is at the top
};

// The rows that can be drawn: with finite bounds, low < high, and counts that are not all 0.
bool HasData(const Ridgeline& plot);

// The figure as an <svg> element. Heights are the square roots of densities, on the same scale in all rows, so that
// bins with few numbers are seen beside those at the clip, which may have most of them.
std::string ToSvg(const Ridgeline& plot);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_RIDGELINE_H_
