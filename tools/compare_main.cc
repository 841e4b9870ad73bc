// //tools:compare: training runs side by side.

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/report/comparison.h"
#include "bitgrad/report/comparison_page.h"
#include "bitgrad/report/comparison_table.h"

ABSL_FLAG(std::string, out, "", "HTML file for the comparison, with curves and the recipes' fields that differ.");

namespace bitgrad {
namespace {

absl::StatusOr<std::vector<ComparedRun>> LoadRuns(const std::vector<std::string>& folders) {
  if (folders.empty()) {
    return absl::InvalidArgumentError("name the runs to compare: compare RUN..., the folders that `train` has written");
  }
  std::vector<ComparedRun> runs;
  std::vector<std::string> warnings;
  for (size_t i = 0; i < folders.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (!SameFile(folders[i], folders[j])) continue;
      return absl::InvalidArgumentError(absl::StrCat("the run '", folders[i], "' is named twice"));
    }
    BITGRAD_ASSIGN_OR_RETURN(ComparedRun run, LoadComparedRun(folders[i], &warnings));
    runs.push_back(std::move(run));
  }
  for (const std::string& warning : warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  return runs;
}

absl::Status CompareRuns(std::vector<std::string> folders) {
  for (std::string& folder : folders) folder = ResolvePath(folder);
  const std::string out = ResolvePath(absl::GetFlag(FLAGS_out));
  std::vector<NamedFile> inputs;
  for (const std::string& folder : folders) {
    for (const char* const file : {"/checkpoint.bgc", "/best.bgc", "/diagnostics.jsonl", "/latest.json"}) {
      inputs.push_back({"a run's file", folder + file});
    }
  }
  BITGRAD_RETURN_IF_ERROR(CheckOutputIsNotInput({{"--out", out}}, inputs));
  BITGRAD_ASSIGN_OR_RETURN(std::vector<ComparedRun> runs, LoadRuns(folders));
  const Comparison comparison = Compare(std::move(runs));
  std::printf("%s", ComparisonTable(comparison).c_str());
  if (!out.empty()) BITGRAD_RETURN_IF_ERROR(WriteComparisonPage(comparison, out));
  std::printf("compare: runs=%zu groups=%zu data_sets=%zu %s%s\n", comparison.runs.size(), comparison.groups.size(),
              comparison.data_sets.size(), FormatBest(comparison).c_str(),
              out.empty() ? "" : absl::StrCat(" out=", out).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  std::vector<std::string> folders;
  return bitgrad::RunMain(
      argc, argv,
      {.usage = "Compares training runs: compare RUN..., the folders that `train` has written. Runs "
                "that differ in nothing but their seed are one group, with the mean and the "
                "standard deviation of its figures.",
       .arguments = &folders},
      [&] { return bitgrad::CompareRuns(folders); });
}
