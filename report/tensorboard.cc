#include "bitgrad/report/tensorboard.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/file_error.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/report/tensorboard_hparams.h"
#include "bitgrad/report/tensorboard_summary.h"

namespace bitgrad {
namespace {

using tensorboard::Event;
using tensorboard::Summary;

Event& AddEvent(int64_t step, std::vector<Event>& events) {
  Event& event = events.emplace_back();
  event.set_wall_time(WallTime());
  event.set_step(step);
  return event;
}

void AddEpoch(const RunRecord& run, int epoch, std::vector<Event>& events) {
  Summary& summary = *AddEvent(epoch, events).mutable_summary();
  const bool is_latest = epoch == run.header.epochs_size();
  // Which epoch was the best one is known of the time of the record alone.
  const int best = is_latest ? run.header.progress().best_epoch() : 0;
  AddMetrics(run.header.epochs(epoch - 1), best > 0 ? &run.header.epochs(best - 1) : nullptr, run.display, summary);
  for (const diagnostics::Epoch& seen : run.diagnostics) {
    if (seen.epoch() == epoch) AddDiagnostics(seen, summary);
  }
  if (run.latest.epoch() == epoch) AddLatest(run, summary);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TensorBoardWriter>> TensorBoardWriter::Create(const std::string& folder, bool resume) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FileError("make the folder of --tensorboard", folder, error.value());
  if (!resume && !EventFilesIn(folder).empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", folder, "' has event files already, whose curves a new run would be mixed with; choose ",
                     "another --tensorboard=DIR, a folder for each run"));
  }
  // That nothing can be written to the folder is found now. The file is given up at once.
  BITGRAD_RETURN_IF_ERROR(AtomicFile::Create(folder + "/events").status());
  return std::unique_ptr<TensorBoardWriter>(new TensorBoardWriter(folder));
}

absl::Status TensorBoardWriter::Begin(const RunRecord& run, std::FILE* /*log*/) {
  const int done = run.header.epochs_size();
  first_epoch_ = done + 1;
  std::vector<Event> events;
  for (const std::string& path : EventFilesIn(folder_)) {
    // Of a damaged file, or of one that a kill has cut off, what can be read counts: TensorBoard shows that, too.
    (void)ReadEventFile(path, events);
  }
  for (const Event& event : events) {
    for (const Summary::Value& value : event.summary().value()) {
      if (value.tag() == kLossTag) written_ = std::max(written_, static_cast<int>(event.step()));
      if (absl::StartsWith(value.tag(), "_hparams_/")) has_hyperparameters_ = true;
    }
  }
  // Of a run that goes on from an older checkpoint the later steps are written anew.
  written_ = std::min(written_, done);
  if (done == run.header.recipe().epochs() && written_ == done) return absl::OkStatus();
  return Write(run);
}

absl::Status TensorBoardWriter::EpochFinished(const RunRecord& run, std::FILE* /*log*/) { return Write(run); }

void TensorBoardWriter::AddSession(const RunRecord& run, std::vector<Event>& events) const {
  AddEvent(written_ + 1, events).mutable_session_log()->set_status(tensorboard::SessionLog::START);
  if (!has_hyperparameters_) {
    Event& event = AddEvent(0, events);
    AddSessionStart(run.header.recipe(), event.wall_time(), *event.mutable_summary());
  }
  // With the first epoch that it holds for.
  AddRecipe(run.header.recipe(), *AddEvent(first_epoch_, events).mutable_summary());
}

// Adds what the files lack.
absl::Status TensorBoardWriter::Write(const RunRecord& run) {
  if (!file_.has_value()) {
    BITGRAD_ASSIGN_OR_RETURN(EventFile file, EventFile::Create(folder_));
    file_.emplace(std::move(file));
  }
  const int done = run.header.epochs_size();
  std::vector<Event> events;
  if (!begun_) AddSession(run, events);
  for (int epoch = written_ + 1; epoch <= done; ++epoch) AddEpoch(run, epoch, events);
  if (done == run.header.recipe().epochs()) {
    Event& end = AddEvent(done, events);
    AddSessionEnd(end.wall_time(), *end.mutable_summary());
  }
  BITGRAD_RETURN_IF_ERROR(file_->Append(events));
  begun_ = has_hyperparameters_ = true;
  written_ = done;
  return absl::OkStatus();
}

}  // namespace bitgrad
