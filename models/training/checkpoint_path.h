// The checkpoint that a user means who names a file or a run's folder.

#ifndef BITGRAD_MODELS_TRAINING_CHECKPOINT_PATH_H_
#define BITGRAD_MODELS_TRAINING_CHECKPOINT_PATH_H_

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace bitgrad {

// `path` itself, whether it exists or not, unless it is a folder: then the best checkpoint of the run in it. NotFound
// where the folder has none.
inline absl::StatusOr<std::string> CheckpointPath(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return path;
  const std::filesystem::path folder = path;
  const std::string best = (folder / "best.bgc").string();
  if (std::filesystem::exists(best, error)) return best;
  return absl::NotFoundError(absl::StrCat("'", path,
                                          "' is a folder without a best checkpoint (best.bgc): no epoch of a ",
                                          "run has ended there; name a checkpoint or another run's folder"));
}

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_CHECKPOINT_PATH_H_
