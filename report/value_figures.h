// Figures of what models tell of themselves (Model::Report): a figure for each name.

#ifndef BITGRAD_REPORT_VALUE_FIGURES_H_
#define BITGRAD_REPORT_VALUE_FIGURES_H_

#include "absl/strings/string_view.h"
#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/report/html_page.h"
#include "bitgrad/report/line_plot.h"

namespace bitgrad::report {

// The plot as a figure of the page; nothing where it has no data.
void AddPlot(absl::string_view name, absl::string_view title, const LinePlot& plot, absl::string_view caption,
             HtmlPage& page);

// Those of the whole model.
void AddModelValues(const RunRecord& run, HtmlPage& page);
// Those of layers, a curve for each of LayersOf(run).
void AddLayerValues(const RunRecord& run, HtmlPage& page);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_VALUE_FIGURES_H_
