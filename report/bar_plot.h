// BarPlot: horizontal bars, each of stacked parts.

#ifndef BITGRAD_REPORT_BAR_PLOT_H_
#define BITGRAD_REPORT_BAR_PLOT_H_

#include <string>
#include <vector>

namespace bitgrad::report {

struct BarPlot {
  std::string description;  // what the figure shows, for who does not see it
  std::string x_label;
  std::string unit;               // behind numbers of tooltips
  std::vector<std::string> rows;  // from the top
  struct Part {
    std::string name;
    std::vector<double> values;  // one for each row; positive ones go to the right, negative ones to the left
  };
  std::vector<Part> parts;
};

// The figure as an <svg> element. Values that are not finite are left out, and so are those of 0.
std::string ToSvg(const BarPlot& plot);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_BAR_PLOT_H_
