#include "bitgrad/models/training/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/file_error.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

// More numbered folders than anybody has.
constexpr int kMostNumbers = 10000;

}  // namespace

absl::StatusOr<std::unique_ptr<RunFolder>> RunFolder::Open(const std::string& path, Use use) {
  if (path.empty()) return absl::InvalidArgumentError("a run needs a directory to write to; name one: --out=DIR");
  if (use == Use::kNewNumbered) {
    for (int number = 1; number <= kMostNumbers; ++number) {
      auto folder = Open(number == 1 ? path : absl::StrCat(path, "_", number), Use::kNew);
      // FailedPrecondition: a run is there, or another process.
      if (folder.ok() || !absl::IsFailedPrecondition(folder.status())) return folder;
    }
    return absl::FailedPreconditionError(
        absl::StrCat("'", path, "' and ", kMostNumbers, " folders after it hold runs; choose another --out=DIR"));
  }
  std::unique_ptr<RunFolder> folder(new RunFolder(path));
  std::error_code error;
  folder->made_ = std::filesystem::create_directories(path, error);
  if (error) return FileError("create directory", path, error.value());
  BITGRAD_RETURN_IF_ERROR(folder->Lock());
  if (const std::string file = folder->RunFile(); use == Use::kNew && !file.empty()) {
    if (path + "/" + file == folder->best_path()) {
      return absl::FailedPreconditionError(
          absl::StrCat("'", path, "' holds the best model of a run (", file, ") without the run's last checkpoint ",
                       "(checkpoint.bgc), so that it cannot be continued; choose another --out, or remove the file"));
    }
    return absl::FailedPreconditionError(absl::StrCat("'", path, "' holds a run already (", file,
                                                      "); continue that run with --resume, or choose another --out"));
  }
  return folder;
}

absl::Status RunFolder::Lock() {
  // A process that gives the folder up removes the file: between our open() and our flock() it may have done so, and
  // another one may have made a new file. Then we try again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int descriptor = open(lock_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor < 0) return FileError("write to directory", path_, errno);
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      close(descriptor);
      if (error != EWOULDBLOCK) return FileError("lock", lock_path(), error);
      break;
    }
    struct stat held, named;
    if (fstat(descriptor, &held) == 0 && stat(lock_path().c_str(), &named) == 0 && held.st_ino == named.st_ino &&
        held.st_dev == named.st_dev) {
      lock_ = descriptor;
      return absl::OkStatus();
    }
    close(descriptor);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("another process is running in '", path_, "'; wait for it to end, or choose another --out"));
}

std::string RunFolder::RunFile() const {
  for (const std::string& path : {checkpoint_path(), best_path()}) {
    // symlink_status: a link that leads nowhere is somebody's, too.
    std::error_code error;
    const auto type = std::filesystem::symlink_status(path, error).type();
    if (type == std::filesystem::file_type::regular || type == std::filesystem::file_type::symlink) {
      return path.substr(path_.size() + 1);
    }
  }
  return "";
}

RunFolder::~RunFolder() {
  if (lock_ < 0) return;
  unlink(lock_path().c_str());
  // Fails where there is something in it.
  if (made_) rmdir(path_.c_str());
  close(lock_);
}

}  // namespace bitgrad
