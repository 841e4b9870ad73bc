// SweepFolder: the directory of a sweep, held by one process.
//
//   DIR/sweep.textproto    the sweep (proto/sweep.proto's State), from which it is resumed
//   DIR/recipe.textproto   the recipe that all trials begin with
//   DIR/trial_3            the run of a trial (docs/runs.md), and DIR/trial_3.log, what `train` has said
//   DIR/compare.html       the comparison of all of them

#ifndef BITGRAD_SWEEP_SWEEP_FOLDER_H_
#define BITGRAD_SWEEP_SWEEP_FOLDER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/models/training/run_folder.h"
#include "bitgrad/proto/recipe.pb.h"
#include "bitgrad/proto/sweep.pb.h"
#include "bitgrad/sweep/plan.h"

namespace bitgrad {

class SweepFolder {
 public:
  // Makes the folder of a new sweep and writes the two files. FailedPrecondition where it holds a sweep or a run, or
  // has a folder of one of the trials' names, and where another process has it.
  static absl::StatusOr<std::unique_ptr<SweepFolder>> Begin(const std::string& path, const sweep::State& state,
                                                            const recipe::Recipe& base, absl::Span<const Trial> trials);
  // Opens that of a sweep that was begun. NotFound where there is none.
  static absl::StatusOr<std::unique_ptr<SweepFolder>> Continue(const std::string& path);

  const sweep::State& state() const { return state_; }
  const recipe::Recipe& base() const { return base_; }

  const std::string& path() const { return lock_->path(); }
  std::string recipe_path() const { return path() + "/recipe.textproto"; }
  std::string page_path() const { return path() + "/compare.html"; }
  std::string run_path(const Trial& trial) const { return path() + "/" + trial.name; }
  std::string log_path(const Trial& trial) const { return run_path(trial) + ".log"; }

 private:
  explicit SweepFolder(std::unique_ptr<RunFolder> lock) : lock_(std::move(lock)) {}
  std::string state_path() const { return path() + "/sweep.textproto"; }

  std::unique_ptr<RunFolder> lock_;
  sweep::State state_;
  recipe::Recipe base_;
};

}  // namespace bitgrad

#endif  // BITGRAD_SWEEP_SWEEP_FOLDER_H_
