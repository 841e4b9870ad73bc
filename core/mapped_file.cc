#include "bitgrad/core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/file_error.h"

namespace bitgrad {

absl::StatusOr<MappedFile> MappedFile::Open(const std::string& path) {
  // O_NONBLOCK: do not wait for the other end of a pipe that somebody named.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return FileError("open", path, errno);
  struct stat info;
  void* block = nullptr;
  absl::Status status;
  if (fstat(descriptor, &info) != 0) {
    status = FileError("read", path, errno);
  } else if (!S_ISREG(info.st_mode)) {
    status =
        absl::InvalidArgumentError(absl::StrCat("cannot read '", path, "': it is not a regular file; name a file"));
  } else if (info.st_size > 0) {
    block = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (block == MAP_FAILED) status = FileError("map", path, errno);
  }
  close(descriptor);
  if (!status.ok()) return status;
  if (block == nullptr) return MappedFile();
  return MappedFile(absl::Span<const uint8_t>(static_cast<const uint8_t*>(block), static_cast<size_t>(info.st_size)));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

}  // namespace bitgrad
