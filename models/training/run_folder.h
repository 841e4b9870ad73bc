// RunFolder: the directory of a run, held by one process.
//
//   BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<RunFolder> folder,
//                            RunFolder::Open("run1", RunFolder::Use::kNew));
//   ... writes folder->checkpoint_path() and folder->best_path() ...
//
// A run's folder has checkpoint.bgc, from which the run continues, and best.bgc, the model that counts. While a process
// has the folder open it holds a lock on the file ".lock" in it; the lock goes with the process, however that ends, so
// a ".lock" that was left behind is no obstacle.

#ifndef BITGRAD_MODELS_TRAINING_RUN_FOLDER_H_
#define BITGRAD_MODELS_TRAINING_RUN_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace bitgrad {

class RunFolder {
 public:
  enum class Use {
    kNew,          // for a new run: FailedPrecondition where the folder holds a run already
    kNewNumbered,  // the same, but where it holds a run, or another process has it, "path_2", "path_3", ... is taken
    kContinue,     // for continuing the run that it holds
  };

  // Makes the directory where there is none. Errors name it and what to do: it cannot be made or written to, another
  // process has it, it holds a run although a new one begins.
  static absl::StatusOr<std::unique_ptr<RunFolder>> Open(const std::string& path, Use use);

  // Gives the folder up. If Open() has made the directory and nothing was written to it, it is removed.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string checkpoint_path() const { return path_ + "/checkpoint.bgc"; }
  std::string best_path() const { return path_ + "/best.bgc"; }

 private:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  absl::Status Lock();
  // The name of the file that shows that there is a run; empty where there is none.
  std::string RunFile() const;
  std::string lock_path() const { return path_ + "/.lock"; }

  std::string path_;
  bool made_ = false;
  int lock_ = -1;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_RUN_FOLDER_H_
