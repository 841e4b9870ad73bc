// The report of a run: one HTML file with all that is known of it, which opens in any browser, without a network.
//
//   BITGRAD_ASSIGN_OR_RETURN(const RunRecord run, LoadRunRecord("bitgrad_mnist_bnn_mlp"));
//   BITGRAD_ASSIGN_OR_RETURN(const ReportSize size, WriteReport(run, ReportPath(run.folder)));
//
// What was not measured is not shown. docs/reports.md says what each figure means.

#ifndef BITGRAD_REPORT_HTML_REPORT_H_
#define BITGRAD_REPORT_HTML_REPORT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/models/diagnostics/run_observer.h"
#include "bitgrad/models/diagnostics/run_record.h"

namespace bitgrad {

struct HtmlReport {
  std::string html;  // well-formed XML, too
  int figures = 0;
};

// A run of any state has one: without a complete epoch, without diagnostics, with numbers that are not finite.
HtmlReport MakeReport(const RunRecord& run);

// FOLDER/report.html.
std::string ReportPath(const std::string& folder);

struct ReportSize {
  int figures = 0;
  int64_t bytes = 0;
};
// Writes the file whole or not at all. Errors are those of AtomicFile.
absl::StatusOr<ReportSize> WriteReport(const RunRecord& run, const std::string& path);

// Writes the report of a run anew after each epoch, to the run's folder.
std::unique_ptr<RunObserver> MakeReportObserver();

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_HTML_REPORT_H_
