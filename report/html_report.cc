#include "bitgrad/report/html_report.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/report/html_page.h"
#include "bitgrad/report/sections.h"

namespace bitgrad {
namespace {

class ReportObserver final : public RunObserver {
 public:
  const char* name() const override { return "the report"; }
  absl::Status EpochFinished(const RunRecord& run, std::FILE*) override {
    return WriteReport(run, ReportPath(run.folder)).status();
  }
};

}  // namespace

HtmlReport MakeReport(const RunRecord& run) {
  report::HtmlPage page(absl::StrCat(run.header.recipe().name(), " \xC2\xB7 bitgrad"));
  report::AddOverview(run, page);
  report::AddProgress(run, page);
  report::AddLayers(run, page);
  report::AddWeights(run, page);
  report::AddAnswers(run, page);
  report::AddFilters(run, page);
  report::AddSamples(run, page);
  report::AddStep(run, page);
  report::AddSetting(run, page);
  const int figures = page.figures();
  return {.html = std::move(page).Finish(), .figures = figures};
}

std::string ReportPath(const std::string& folder) { return folder + "/report.html"; }

absl::StatusOr<ReportSize> WriteReport(const RunRecord& run, const std::string& path) {
  const HtmlReport report = MakeReport(run);
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append(report.html));
  BITGRAD_RETURN_IF_ERROR(file.Commit());
  return ReportSize{.figures = report.figures, .bytes = static_cast<int64_t>(report.html.size())};
}

std::unique_ptr<RunObserver> MakeReportObserver() { return std::make_unique<ReportObserver>(); }

}  // namespace bitgrad
