// MappedFile: the bytes of a file, read-only, as memory.

#ifndef BITGRAD_CORE_MAPPED_FILE_H_
#define BITGRAD_CORE_MAPPED_FILE_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace bitgrad {

class MappedFile {
 public:
  MappedFile() = default;  // Empty.
  // Errors name the path and the reason. Only regular files can be mapped; an empty one has no
  // bytes.
  static absl::StatusOr<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  // Starts at a page, so aligned for anything. Who shortens the file under us ends our process
  // (SIGBUS): replace files by renaming.
  absl::Span<const uint8_t> bytes() const { return bytes_; }

 private:
  explicit MappedFile(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}
  absl::Span<const uint8_t> bytes_;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_MAPPED_FILE_H_
