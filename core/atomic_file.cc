#include "bitgrad/core/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/file_error.h"

namespace bitgrad {
namespace {

absl::Status BusyError(const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot write '", path, "': another process is writing it; wait for it or write elsewhere"));
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("cannot write a file without a name; give a path");
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write '", path, "': it is ",
                                                   S_ISDIR(info.st_mode) ? "a directory" : "no regular file",
                                                   "; name a file"));
  }
  // The temporary file is truncated below, when it is known that no other process is writing it.
  const std::string temporary = path + ".tmp";
  const int descriptor = open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor < 0) return FileError("write", path, errno);
  struct stat named;
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 || fstat(descriptor, &info) != 0 ||
      // Its owner may have renamed or removed it between our open() and our flock().
      stat(temporary.c_str(), &named) != 0 || named.st_ino != info.st_ino || named.st_dev != info.st_dev) {
    close(descriptor);
    return BusyError(path);
  }
  if (ftruncate(descriptor, 0) != 0) {
    const int error = errno;
    close(descriptor);
    return FileError("write", path, error);
  }
  return AtomicFile(path, descriptor);
}

absl::Status AtomicFile::Append(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("write", path_, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  if (fsync(descriptor_) != 0) return FileError("write", path_, errno);
  if (std::rename(temporary_path().c_str(), path_.c_str()) != 0) return FileError("write", path_, errno);
  // The file stands; from here the lock and the name are no longer ours.
  close(std::exchange(descriptor_, -1));
  // Makes the new name durable. Some file systems cannot; the file is whole in any case.
  const int directory = open(DirectoryOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    fsync(directory);
    close(directory);
  }
  return absl::OkStatus();
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  unlink(temporary_path().c_str());
  close(descriptor_);
}

}  // namespace bitgrad
