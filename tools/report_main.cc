// //tools:report: makes the report of a run again from the run's folder.

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/report/html_report.h"

ABSL_FLAG(std::string, run, "", "The run's folder, as train has written it.");
ABSL_FLAG(std::string, out, "", "The page to write. Default: report.html in the run's folder.");

namespace bitgrad {
namespace {

absl::Status Report() {
  const std::string folder = ResolvePath(absl::GetFlag(FLAGS_run));
  if (folder.empty()) {
    return absl::InvalidArgumentError("no run is given; name the folder that `train` has written: --run=FOLDER");
  }
  const std::string out = absl::GetFlag(FLAGS_out).empty() ? ReportPath(folder) : ResolvePath(absl::GetFlag(FLAGS_out));
  BITGRAD_RETURN_IF_ERROR(CheckOutputIsNotInput({{"--out", out}}, {{"the run's checkpoint", folder + "/checkpoint.bgc"},
                                                                   {"the run's best checkpoint", folder + "/best.bgc"},
                                                                   {"the run's diagnostics", DiagnosticsPath(folder)},
                                                                   {"the run's latest.json", LatestPath(folder)}}));
  std::vector<std::string> warnings;
  BITGRAD_ASSIGN_OR_RETURN(const RunRecord run, LoadRunRecord(folder, &warnings));
  for (const std::string& warning : warnings) absl::PrintF("warning: %s\n", warning);
  if (run.header.epochs_size() > 0 && run.diagnostics.empty()) {
    absl::PrintF("note: the run has no diagnostics; it was trained with --noreport, or by an earlier version\n");
  }
  BITGRAD_ASSIGN_OR_RETURN(const ReportSize size, WriteReport(run, out));
  absl::PrintF("report: epochs=%d figures=%d bytes=%d out=%s\n", run.header.epochs_size(), size.figures, size.bytes,
               out);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv, {.usage = "Makes the report of a training run, a page, from the run's folder."},
                          [] { return bitgrad::Report(); });
}
