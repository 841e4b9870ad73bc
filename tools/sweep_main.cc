// //tools:sweep: trains a recipe with many values of its fields, and compares the runs.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/program_command.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/shell_quote.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/report/comparison.h"
#include "bitgrad/report/comparison_page.h"
#include "bitgrad/report/comparison_table.h"
#include "bitgrad/sweep/check_trials.h"
#include "bitgrad/sweep/plan.h"
#include "bitgrad/sweep/run_sweep.h"
#include "bitgrad/sweep/sweep_folder.h"

ABSL_FLAG(std::string, sweep, "", "File that says what is to be tried (docs/sweeps.md).");
ABSL_FLAG(std::string, out, "", "Directory for the runs and their comparison. Default: bitgrad_<the file's name>.");
ABSL_FLAG(int, processes, 1, "How many runs are trained at a time.");
ABSL_FLAG(int, threads, 0, "Number of threads of each; 0 means its share of the cores.");
ABSL_FLAG(std::string, data_dir, "", "Where the data set's files lie (not needed for 'digits').");
ABSL_FLAG(std::string, device, "", "Where training runs: cpu or cuda. Default: cpu.");
ABSL_FLAG(bool, resume, false, "Continue the sweep of --out: runs that are finished stay, the others go on.");

namespace bitgrad {
namespace {

// More than this many processes is a slip.
constexpr int kMostProcesses = 256;

// "rates" of "some/where/rates.textproto".
std::string NameOf(absl::string_view path) {
  const absl::string_view file = path.substr(path.rfind('/') + 1);
  return std::string(file.substr(0, file.find('.')));
}

std::string DeviceName() {
  const std::string device = absl::GetFlag(FLAGS_device);
  return device.empty() ? Name(Device::kCpu) : device;
}

absl::Status CheckFlags() {
  const int processes = absl::GetFlag(FLAGS_processes), threads = absl::GetFlag(FLAGS_threads);
  if (processes < 1 || processes > kMostProcesses) {
    return absl::InvalidArgumentError(absl::StrCat("--processes=", processes, " is not in 1 .. ", kMostProcesses));
  }
  if (threads < 0 || threads > ExecContext::kMaxThreads) {
    return absl::InvalidArgumentError(absl::StrCat("--threads=", threads, " is not in 0 .. ", ExecContext::kMaxThreads,
                                                   "; 0 means a share of the cores"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(DeviceName()));
  if (absl::GetFlag(FLAGS_resume)) {
    if (absl::GetFlag(FLAGS_out).empty()) {
      return absl::InvalidArgumentError("--resume needs --out=DIR, the directory of the sweep to continue");
    }
  } else if (absl::GetFlag(FLAGS_sweep).empty()) {
    return absl::InvalidArgumentError(
        "--sweep=FILE is missing: it says what is to be tried; docs/sweeps.md has examples");
  }
  return DeviceStatus(device);
}

// Threads decide roundings of float products, so those of a sweep stay what they were when it began.
int ThreadsOfEach() {
  const int threads = absl::GetFlag(FLAGS_threads);
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return threads > 0 ? threads : std::max(1, cores / absl::GetFlag(FLAGS_processes));
}

absl::Status CheckTrialsOf(const sweep::State& state, const std::vector<Trial>& trials) {
  return CheckTrials(state.sweep(), trials, {.data_dir = state.data_dir(), .threads = state.threads()});
}

absl::StatusOr<std::unique_ptr<SweepFolder>> Begin(std::vector<Trial>& trials) {
  const std::string file = absl::GetFlag(FLAGS_sweep), out = absl::GetFlag(FLAGS_out);
  sweep::State state;
  BITGRAD_ASSIGN_OR_RETURN(*state.mutable_sweep(), LoadSweep(file));
  state.set_data_dir(ResolvePath(absl::GetFlag(FLAGS_data_dir)));
  state.set_device(DeviceName());
  state.set_threads(ThreadsOfEach());
  BITGRAD_ASSIGN_OR_RETURN(const recipe::Recipe base, BaseRecipe(state.sweep()));
  BITGRAD_ASSIGN_OR_RETURN(trials, PlanTrials(state.sweep(), base));
  BITGRAD_RETURN_IF_ERROR(CheckTrialsOf(state, trials));
  return SweepFolder::Begin(ResolvePath(out.empty() ? absl::StrCat("bitgrad_", NameOf(file)) : out), state, base,
                            trials);
}

// What a sweep began with it goes on with: its runs could not be resumed bit for bit otherwise.
absl::Status CheckSameSettings(const SweepFolder& folder) {
  const sweep::State& state = folder.state();
  const auto check = [&](const char* flag, bool is_given, const std::string& now, const std::string& begun) {
    if (!is_given || now == begun) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("--", flag, "=", now, ": the sweep in '", folder.path(),
                                                      "' has '", begun, "' and goes on with it; leave the flag out"));
  };
  const std::string data_dir = absl::GetFlag(FLAGS_data_dir);
  const int threads = absl::GetFlag(FLAGS_threads);
  BITGRAD_RETURN_IF_ERROR(check("data_dir", !data_dir.empty(), ResolvePath(data_dir), state.data_dir()));
  BITGRAD_RETURN_IF_ERROR(check("device", !absl::GetFlag(FLAGS_device).empty(), DeviceName(), state.device()));
  return check("threads", threads > 0, absl::StrCat(threads), absl::StrCat(state.threads()));
}

absl::StatusOr<std::unique_ptr<SweepFolder>> Continue(std::vector<Trial>& trials) {
  const std::string file = absl::GetFlag(FLAGS_sweep);
  BITGRAD_ASSIGN_OR_RETURN(auto folder, SweepFolder::Continue(ResolvePath(absl::GetFlag(FLAGS_out))));
  const sweep::State& state = folder->state();
  BITGRAD_RETURN_IF_ERROR(CheckSameSettings(*folder));
  if (!file.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(const sweep::Sweep sweep, LoadSweep(file));
    BITGRAD_ASSIGN_OR_RETURN(const recipe::Recipe base, BaseRecipe(sweep));
    if (sweep.SerializeAsString() != state.sweep().SerializeAsString() ||
        base.SerializeAsString() != folder->base().SerializeAsString()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "'", folder->path(), "' holds another sweep than '", file,
          "', or one of another recipe; leave out --sweep to continue it, or choose another --out for a new one"));
    }
  }
  BITGRAD_ASSIGN_OR_RETURN(trials, PlanTrials(state.sweep(), folder->base()));
  BITGRAD_RETURN_IF_ERROR(CheckTrialsOf(state, trials));
  return folder;
}

absl::StatusOr<Comparison> CompareFinished(const SweepResult& result) {
  std::vector<ComparedRun> runs;
  std::vector<std::string> warnings;
  for (const std::string& folder : result.runs) {
    BITGRAD_ASSIGN_OR_RETURN(ComparedRun run, LoadComparedRun(folder, &warnings));
    runs.push_back(std::move(run));
  }
  for (const std::string& warning : warnings) std::fprintf(stderr, "warning: %s\n", warning.c_str());
  return Compare(std::move(runs));
}

absl::Status Sweep() {
  BITGRAD_RETURN_IF_ERROR(CheckFlags());
  SweepOptions options;
  options.processes = absl::GetFlag(FLAGS_processes);
  BITGRAD_ASSIGN_OR_RETURN(options.train, ProgramPath("//models:train"));
  std::vector<Trial> trials;
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<SweepFolder> folder,
                           absl::GetFlag(FLAGS_resume) ? Continue(trials) : Begin(trials));
  options.resume_command =
      absl::StrCat(ProgramCommand("//tools:sweep"), " --resume --out=", ShellQuoted(folder->path()),
                   options.processes == 1 ? "" : absl::StrCat(" --processes=", options.processes));
  const int threads = folder->state().threads();
  absl::PrintF("%d trials in '%s', %d at a time, each with %d thread%s\n", trials.size(), folder->path(),
               options.processes, threads, threads == 1 ? "" : "s");
  std::fflush(stdout);
  BITGRAD_ASSIGN_OR_RETURN(const SweepResult result, RunSweep(*folder, trials, options));
  if (result.runs.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("all ", trials.size(), " trials have failed; their logs are '",
                                                      folder->log_path(trials[0]), "' and so on"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Comparison comparison, CompareFinished(result));
  absl::PrintF("%s", ComparisonTable(comparison));
  BITGRAD_RETURN_IF_ERROR(WriteComparisonPage(comparison, folder->page_path()));
  absl::PrintF("the same with curves: %s\n", folder->page_path());
  absl::PrintF("sweep: trials=%d finished=%d failed=%d %s\n", trials.size(), result.runs.size(), result.failed,
               FormatBest(comparison));
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Trains a recipe with many values of its fields, several runs at a time, and "
                                    "compares them."},
                          [] { return bitgrad::Sweep(); });
}
