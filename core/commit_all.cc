#include "bitgrad/core/commit_all.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "absl/strings/strip.h"
#include "bitgrad/core/file_error.h"

namespace bitgrad {
namespace {

// A path, and whether the file that was there has a second name.
struct Replaced {
  std::string path;
  bool has_old = false;

  std::string old_path() const { return path + ".old"; }
};

// Gives the file, if there is one, a second name or, where the file system has none, another one.
absl::Status KeepOld(Replaced& replaced) {
  struct stat info;
  if (lstat(replaced.path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return FileError("write", replaced.path, EISDIR);
  }
  const std::string old_path = replaced.old_path();
  unlink(old_path.c_str());
  replaced.has_old = link(replaced.path.c_str(), old_path.c_str()) == 0;
  if (replaced.has_old || errno == ENOENT) return absl::OkStatus();
  replaced.has_old = std::rename(replaced.path.c_str(), old_path.c_str()) == 0;
  return replaced.has_old ? absl::OkStatus() : FileError("write", replaced.path, errno);
}

void Restore(const Replaced& replaced) {
  if (replaced.has_old) {
    std::rename(replaced.old_path().c_str(), replaced.path.c_str());
  } else {
    unlink(replaced.path.c_str());
  }
}

}  // namespace

absl::Status CommitAll(std::vector<AtomicFile>& files) {
  std::vector<Replaced> all;
  for (AtomicFile& file : files) {
    Replaced next = {std::string(absl::StripSuffix(file.temporary_path(), ".tmp"))};
    absl::Status status = KeepOld(next);
    if (status.ok()) {
      status = file.Commit();
      if (status.ok() || next.has_old) all.push_back(next);
    }
    if (status.ok()) continue;
    for (const Replaced& replaced : all) Restore(replaced);
    return status;
  }
  for (const Replaced& replaced : all) {
    if (replaced.has_old) unlink(replaced.old_path().c_str());
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
