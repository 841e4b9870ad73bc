// LinePlot: curves over a common axis.

#ifndef BITGRAD_REPORT_LINE_PLOT_H_
#define BITGRAD_REPORT_LINE_PLOT_H_

#include <string>
#include <vector>

#include "absl/types/optional.h"

namespace bitgrad::report {

struct Series {
  std::string name;
  std::vector<double> x, y;  // as many of each, x ascending. Where y is not finite the curve is broken
};

struct LinePlot {
  // A curve has at most about so many points: of more, it shows the least and the largest of each stretch.
  static constexpr size_t kMostPoints = 200;

  std::string description;  // what the figure shows, for who does not see it
  std::string x_label, y_label;
  // Those without a number are not shown, but have a color: so that of a layer is the same in all figures.
  std::vector<Series> series;
  bool whole_x = true;  // such as epochs
  bool may_be_logarithmic = false;
  bool from_zero = false;
  struct Mark {
    double x;
    std::string label;
  };
  absl::optional<Mark> mark;  // a dashed line upwards: the best epoch
};

// Whether there is anything to see: a number of some series that is finite.
bool HasData(const LinePlot& plot);

// The figure as an <svg> element. Where there are several series there is a legend. Few points are dots with tooltips,
// too.
std::string ToSvg(const LinePlot& plot);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_LINE_PLOT_H_
