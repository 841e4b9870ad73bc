// AtomicFile: writes a file whole or not at all.
//
//   BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create("net.bgm"));
//   BITGRAD_RETURN_IF_ERROR(file.Append(bytes));
//   BITGRAD_RETURN_IF_ERROR(file.Commit());
//
// The bytes go to "<path>.tmp", which Commit() flushes to the disk and renames. A crash at any moment leaves the old
// file or the new one. If it leaves a "<path>.tmp", the next writer overwrites that. Without a Commit() that succeeded,
// the destructor removes the temporary file.

#ifndef BITGRAD_CORE_ATOMIC_FILE_H_
#define BITGRAD_CORE_ATOMIC_FILE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

class AtomicFile {
 public:
  // Fails where the directory is missing or not writable, where `path` is something other than a regular file, and
  // where another process is writing the same file.
  static absl::StatusOr<AtomicFile> Create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  ~AtomicFile();

  // Errors name the file and the reason, a full disk for example.
  absl::Status Append(absl::string_view bytes);
  // The file that holds what was appended so far, for whoever wants to read it back before Commit().
  std::string temporary_path() const { return path_ + ".tmp"; }
  // Gives the file its name. REQUIRES: it is called once, after everything was appended.
  absl::Status Commit();

 private:
  AtomicFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_ATOMIC_FILE_H_
