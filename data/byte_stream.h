// ByteStream: the bytes of a plain or gzip-compressed file, one after the other.
//
// Which of the two a file is, is seen from its content, not from its name.

#ifndef BITGRAD_DATA_BYTE_STREAM_H_
#define BITGRAD_DATA_BYTE_STREAM_H_

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bitgrad {

class ByteStream {
 public:
  // NotFound and PermissionDenied as the system says, naming the path.
  static absl::StatusOr<ByteStream> Open(const std::string& path);

  // Reads `count` bytes, or fewer at the end of the file; the number read. DataLoss for damaged gzip data.
  // REQUIRES: count < 2^31.
  absl::StatusOr<int64_t> Read(uint8_t* bytes, int64_t count);

  // Reads up to `count` bytes into `data`, which grows with what is really there, never with `count` alone. Nothing but
  // HasMore() may be called after it.
  absl::Status ReadUpTo(int64_t count, std::vector<uint8_t>& data);

  // Reads the end of the file, which also compares the checksum of a compressed one. True where there were bytes left
  // instead; DataLoss where a compressed file broke off.
  absl::StatusOr<bool> HasMore();

 private:
  struct Closer {
    void operator()(gzFile file) const { gzclose_r(file); }
  };

  ByteStream(const std::string& path, gzFile file) : path_(path), file_(file) {}

  std::string path_;
  std::unique_ptr<gzFile_s, Closer> file_;
  bool has_more_ = false;  // ReadUpTo() has seen a byte behind those that it was asked for
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_BYTE_STREAM_H_
