#include "bitgrad/data/byte_stream.h"

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

// Data is asked for in pieces, so that a header's claim alone costs no more memory than one piece.
constexpr int64_t kChunkBytes = int64_t{1} << 20;

}  // namespace

absl::StatusOr<ByteStream> ByteStream::Open(const std::string& path) {
  errno = 0;
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) {
    return absl::ErrnoToStatus(errno != 0 ? errno : ENOMEM, absl::StrCat("cannot open ", path));
  }
  gzbuffer(file, 1 << 17);
  return ByteStream(path, file);
}

absl::StatusOr<int64_t> ByteStream::Read(uint8_t* bytes, int64_t count) {
  errno = 0;
  const int got = gzread(file_.get(), bytes, static_cast<unsigned>(count));
  if (got >= 0) return got;
  const int system_error = errno;
  int code = Z_OK;
  const char* message = gzerror(file_.get(), &code);
  if (code == Z_ERRNO) {
    return absl::ErrnoToStatus(system_error, absl::StrCat("cannot read ", path_));
  }
  return absl::DataLossError(absl::StrCat(path_, ": damaged gzip data (", message, "); get the file again"));
}

absl::Status ByteStream::ReadUpTo(int64_t count, std::vector<uint8_t>& data) {
  // One byte more is asked for, together with the last ones: where a request ends with the last byte of a compressed
  // file, zlib does not look for the checksum behind it any more, and a file that lacks it would pass for a whole one.
  const int64_t wanted = count + 1;
  data.clear();
  while (static_cast<int64_t>(data.size()) < wanted) {
    const int64_t have = static_cast<int64_t>(data.size());
    const int64_t left = wanted - have;
    const int64_t ask = left <= kChunkBytes + 1 ? left : kChunkBytes;
    data.resize(have + ask);
    BITGRAD_ASSIGN_OR_RETURN(const int64_t got, Read(data.data() + have, ask));
    data.resize(have + got);
    if (got < ask) break;
  }
  has_more_ = static_cast<int64_t>(data.size()) == wanted;
  if (has_more_) data.pop_back();
  return absl::OkStatus();
}

absl::StatusOr<bool> ByteStream::HasMore() {
  if (has_more_) return true;
  uint8_t extra;
  BITGRAD_ASSIGN_OR_RETURN(const int64_t more, Read(&extra, 1));
  // zlib hands out what there is of a broken file before it says so.
  int code = Z_OK;
  gzerror(file_.get(), &code);
  if (code == Z_BUF_ERROR) {
    return absl::DataLossError(absl::StrCat(path_, ": truncated: the gzip data have no end; get the file again"));
  }
  return more != 0;
}

}  // namespace bitgrad
