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
  MappedFile() = default;  // No bytes.
  // Errors name the path and the reason. Only regular files can be mapped; an empty file has no bytes.
  static absl::StatusOr<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  // They start at a page, so they are aligned for every type. If another process shortens the file meanwhile, reading
  // the lost bytes ends our process with SIGBUS; files should be replaced by renaming.
  absl::Span<const uint8_t> bytes() const { return bytes_; }

 private:
  explicit MappedFile(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}
  absl::Span<const uint8_t> bytes_;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_MAPPED_FILE_H_
