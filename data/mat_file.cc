#include "bitgrad/data/mat_file.h"

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr size_t kHeaderBytes = 128;
constexpr size_t kTagBytes = 8;
constexpr uint32_t kCompressed = 15;

constexpr uLong kMaxInflatedBytes = uLong{1} << 32;  // more than any published file holds

// Whether the bytes are one whole zlib stream.
bool Inflates(absl::Span<const uint8_t> bytes) {
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) return false;
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::vector<uint8_t> discarded(1 << 18);
  int code = Z_OK;
  while (code == Z_OK && stream.total_out <= kMaxInflatedBytes) {
    stream.next_out = discarded.data();
    stream.avail_out = static_cast<uInt>(discarded.size());
    code = inflate(&stream, Z_NO_FLUSH);
  }
  inflateEnd(&stream);
  return code == Z_STREAM_END && stream.avail_in == 0;
}

}  // namespace

absl::Status CheckMatFile(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const absl::Span<const uint8_t> bytes = file.bytes();
  const absl::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!absl::StartsWith(text, "MATLAB 5.0")) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a MATLAB 5 file; check that the file is what its name says, or get it again"));
  }
  const absl::Status damaged = absl::DataLossError(absl::StrCat(path, ": truncated or damaged; get the file again"));
  if (bytes.size() <= kHeaderBytes || text.substr(kHeaderBytes - 2, 2) != "IM") return damaged;
  for (size_t at = kHeaderBytes; at != bytes.size();) {
    uint32_t tag[2];
    if (bytes.size() - at < kTagBytes) return damaged;
    std::memcpy(tag, &bytes[at], kTagBytes);
    at += kTagBytes;
    if (tag[1] > bytes.size() - at) return damaged;
    if (tag[0] == kCompressed && !Inflates(bytes.subspan(at, tag[1]))) return damaged;
    at += tag[1];
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
