// TensorBoardWriter: writes what TensorBoard shows of a run while it is going on (train --tensorboard=DIR).
//
// A step is an epoch, counted from 1, as everywhere in bitgrad: that is when a run measures. docs/tensorboard.md has
// the tags. Each process that trains the run adds an event file of its own (event_file.h). It begins with
// SessionLog::START at the first step that it writes, by which TensorBoard forgets this step and later ones of the
// files before; so no step is there twice, even of a run that goes on from an older checkpoint than its last one.
// Epochs of the run that the files do not have are written first: those of a time without --tensorboard, one that a
// full disk has lost, or that was ended between its checkpoint and its events. Events have the time at which they are
// written.

#ifndef BITGRAD_REPORT_TENSORBOARD_H_
#define BITGRAD_REPORT_TENSORBOARD_H_

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "bitgrad/models/diagnostics/run_observer.h"
#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/proto/tensorboard.pb.h"
#include "bitgrad/report/event_file.h"

namespace bitgrad {

class TensorBoardWriter final : public RunObserver {
 public:
  // Makes the folder where there is none. Errors: it cannot be made or written to; it has event files and this is a new
  // run, whose curves would be mixed with theirs (FailedPrecondition).
  static absl::StatusOr<std::unique_ptr<TensorBoardWriter>> Create(const std::string& folder, bool resume);

  const char* name() const override { return "TensorBoard's files"; }
  // Finds out what the folder's files have, and begins a file where the run has something to add to them.
  absl::Status Begin(const RunRecord& run, std::FILE* log) override;
  // What could not be written is written with the next epoch.
  absl::Status EpochFinished(const RunRecord& run, std::FILE* log) override;

 private:
  explicit TensorBoardWriter(std::string folder) : folder_(std::move(folder)) {}
  void AddSession(const RunRecord& run, std::vector<tensorboard::Event>& events) const;
  absl::Status Write(const RunRecord& run);

  const std::string folder_;
  bool has_hyperparameters_ = false;  // some file of the folder has them
  int written_ = 0;                   // the last epoch that a file has
  int first_epoch_ = 1;               // that this process trains
  absl::optional<EventFile> file_;
  bool begun_ = false;  // file_ has the events of the session's beginning
};

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_TENSORBOARD_H_
