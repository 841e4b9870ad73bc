#include "bitgrad/sweep/run_sweep.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/interrupt.h"
#include "bitgrad/models/training/metric_display.h"
#include "bitgrad/models/training/run_folder.h"
#include "bitgrad/sweep/halving.h"
#include "bitgrad/sweep/processes.h"

namespace bitgrad {
namespace {

constexpr size_t kShownLines = 3;  // of the log of a process that failed
// How long processes of a sweep that was killed may take to save their state: a batch, and a checkpoint.
constexpr std::chrono::seconds kPatience(20);

std::vector<std::string> LastLines(const std::string& path) {
  std::ifstream file(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
    if (lines.size() > kShownLines) lines.pop_front();
  }
  return {lines.begin(), lines.end()};
}

// A sweep that is being run.
class Runner {
 public:
  Runner(const SweepFolder& folder, absl::Span<const Trial> trials, const SweepOptions& options)
      : folder_(folder), trials_(trials), options_(options), headers_(trials.size()), failed_(trials.size(), false) {}

  absl::StatusOr<SweepResult> Run();

 private:
  absl::Status WaitForOthers() const;
  void ReadHeader(size_t trial);
  // Trains the trials of the configurations that are `active` until they have so many epochs; 0: the recipe's.
  absl::Status RunRound(const std::vector<bool>& active, int epochs);
  int EpochsOf(size_t trial, int epochs) const { return epochs > 0 ? epochs : trials_[trial].recipe.epochs(); }
  ProcessJob JobOf(size_t trial, int epochs) const;
  void Ended(size_t trial, const ProcessResult& result, size_t done, size_t of);
  double ScoreOfConfiguration(int configuration, int epochs) const;
  absl::Status Interrupted() const;

  const SweepFolder& folder_;
  const absl::Span<const Trial> trials_;
  const SweepOptions& options_;
  std::vector<checkpoint::Header> headers_;  // of the trials' checkpoints; without epochs where there are none
  std::vector<bool> failed_;                 // trials
};

// Processes of an earlier sweep, which was killed, have got a signal, and save their state.
absl::Status Runner::WaitForOthers() const {
  const auto patience_ends = std::chrono::steady_clock::now() + kPatience;
  for (const Trial& trial : trials_) {
    std::error_code error;
    while (std::filesystem::is_directory(folder_.run_path(trial), error)) {
      const absl::Status free = RunFolder::Open(folder_.run_path(trial), RunFolder::Use::kContinue).status();
      if (free.ok()) break;
      if (!absl::IsFailedPrecondition(free) || std::chrono::steady_clock::now() > patience_ends) return free;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  return absl::OkStatus();
}

void Runner::ReadHeader(size_t trial) {
  const auto checkpoint = Checkpoint::Open(folder_.run_path(trials_[trial]) + "/checkpoint.bgc");
  headers_[trial] = checkpoint.ok() ? checkpoint->header() : checkpoint::Header();
}

ProcessJob Runner::JobOf(size_t trial, int epochs) const {
  const std::string run = folder_.run_path(trials_[trial]);
  std::error_code error;
  ProcessJob job = {.command = {options_.train}, .log = folder_.log_path(trials_[trial])};
  const auto add = [&](const auto&... flag) { job.command.push_back(absl::StrCat(flag...)); };
  if (std::filesystem::exists(run + "/checkpoint.bgc", error)) {
    add("--resume");
  } else {
    add("--recipe=", folder_.recipe_path());
    for (const std::string& assignment : trials_[trial].assignments) add("--set=", assignment);
    add("--set=seed=", trials_[trial].recipe.seed());
  }
  add("--out=", run);
  add("--epochs=", EpochsOf(trial, epochs));
  const sweep::State& state = folder_.state();
  add("--threads=", state.threads());
  add("--device=", state.device());
  if (!state.data_dir().empty()) add("--data_dir=", state.data_dir());
  return job;
}

void Runner::Ended(size_t trial, const ProcessResult& result, size_t done, size_t of) {
  ReadHeader(trial);
  const Trial& ended = trials_[trial];
  std::string text = absl::StrCat("[", done, "/", of, "] ", ended.name);
  failed_[trial] = result.kind != ProcessResult::Kind::kDone;
  const checkpoint::Header& header = headers_[trial];
  if (failed_[trial]) {
    absl::StrAppend(&text, " failed (", result.how, "); the end of '", folder_.log_path(ended), "':");
    for (const std::string& line : LastLines(folder_.log_path(ended))) absl::StrAppend(&text, "\n    ", line);
  } else if (const int best = header.progress().best_epoch(); best > 0) {
    const MetricDisplay display = DisplayOf(header);
    const checkpoint::EpochMetrics& metrics = header.epochs(best - 1);
    absl::StrAppend(&text, ": epochs=", header.epochs_size(), " ", FormatAs("valid", display, metrics.valid_error()),
                    " ", FormatAs("test", display, metrics.test_error()));
  }
  absl::FPrintF(options_.log, "%s  %s\n", text, failed_[trial] ? "" : absl::StrJoin(ended.assignments, " "));
  std::fflush(options_.log);
}

absl::Status Runner::RunRound(const std::vector<bool>& active, int epochs) {
  std::vector<size_t> trials;
  std::vector<ProcessJob> jobs;
  size_t done = 0;
  for (size_t i = 0; i < trials_.size(); ++i) {
    if (!active[static_cast<size_t>(trials_[i].configuration)] || failed_[i]) continue;
    if (headers_[i].epochs_size() >= EpochsOf(i, epochs)) {
      ++done;
      continue;
    }
    // A process that was killed may have left its first best model without the checkpoint that follows it.
    const std::string run = folder_.run_path(trials_[i]);
    std::error_code error;
    if (!std::filesystem::exists(run + "/checkpoint.bgc", error)) std::filesystem::remove(run + "/best.bgc", error);
    trials.push_back(i);
    jobs.push_back(JobOf(i, epochs));
  }
  const size_t all = done + jobs.size();
  if (done > 0) absl::FPrintF(options_.log, "%d of %d trials have their epochs already\n", done, all);
  std::fflush(options_.log);
  const std::vector<ProcessResult> results =
      RunProcesses(jobs, options_.processes, InterruptGuard::interrupted,
                   [&](size_t job, const ProcessResult& result) { Ended(trials[job], result, ++done, all); });
  for (const ProcessResult& result : results) {
    if (result.kind == ProcessResult::Kind::kNotRun) return Interrupted();
  }
  return absl::OkStatus();
}

absl::Status Runner::Interrupted() const {
  return absl::CancelledError(absl::StrCat("interrupted; the state of all trials is in '", folder_.path(),
                                           "'; continue with: ", options_.resume_command));
}

double Runner::ScoreOfConfiguration(int configuration, int epochs) const {
  std::vector<checkpoint::Header> runs;
  for (size_t i = 0; i < trials_.size(); ++i) {
    if (trials_[i].configuration != configuration) continue;
    if (failed_[i]) return HUGE_VAL;
    runs.push_back(headers_[i]);
  }
  return ScoreOf(runs, epochs);
}

absl::StatusOr<SweepResult> Runner::Run() {
  BITGRAD_RETURN_IF_ERROR(WaitForOthers());
  for (size_t i = 0; i < trials_.size(); ++i) ReadHeader(i);
  const sweep::Sweep& sweep = folder_.state().sweep();
  std::vector<bool> active(static_cast<size_t>(trials_.back().configuration) + 1, true);
  const std::vector<int> rounds = sweep.has_halving() ? RoundsOf(sweep, trials_[0].recipe) : std::vector<int>{0};
  for (size_t round = 0; round < rounds.size(); ++round) {
    const int epochs = rounds[round];
    if (rounds.size() > 1) {
      absl::FPrintF(options_.log, "round %d of %d: %d configurations are trained up to epoch %d\n", round + 1,
                    rounds.size(), std::count(active.begin(), active.end(), true), epochs);
    }
    BITGRAD_RETURN_IF_ERROR(RunRound(active, epochs));
    if (round + 1 == rounds.size()) break;
    std::vector<size_t> configurations;
    std::vector<double> scores;
    for (size_t i = 0; i < active.size(); ++i) {
      if (!active[i]) continue;
      configurations.push_back(i);
      scores.push_back(ScoreOfConfiguration(static_cast<int>(i), epochs));
    }
    active.assign(active.size(), false);
    for (const size_t survivor : Survivors(scores, FactorOf(sweep.halving()))) active[configurations[survivor]] = true;
  }
  SweepResult result;
  for (size_t i = 0; i < trials_.size(); ++i) {
    if (failed_[i]) {
      ++result.failed;
    } else {
      result.runs.push_back(folder_.run_path(trials_[i]));
    }
  }
  return result;
}

}  // namespace

absl::StatusOr<SweepResult> RunSweep(const SweepFolder& folder, absl::Span<const Trial> trials,
                                     const SweepOptions& options) {
  const InterruptGuard guard;
  const InterruptGuard::Deferral deferral;
  return Runner(folder, trials, options).Run();
}

}  // namespace bitgrad
