#include "bitgrad/data/idx.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/byte_stream.h"

namespace bitgrad {
namespace {

constexpr uint8_t kUint8Code = 0x08;

absl::Status Truncated(const std::string& path, const std::string& what, int64_t expected, int64_t found) {
  return absl::DataLossError(absl::StrCat(path, ": truncated: expected ", expected, " bytes of ", what, ", found ",
                                          found, "; get the file again"));
}

absl::Status CheckMagic(const std::string& path, const uint8_t* magic, int least_rank, int most_rank) {
  if (magic[0] != 0 || magic[1] != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: not an idx file: expected the first bytes 00 00 08 %02x, found %02x %02x %02x %02x; "
                        "check that the file is what its name says",
                        path, least_rank, magic[0], magic[1], magic[2], magic[3]));
  }
  if (magic[2] != kUint8Code) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: expected element type 0x08 (uint8), found 0x%02x; only idx files of bytes can be read", path, magic[2]));
  }
  if (magic[3] < least_rank || magic[3] > most_rank) {
    const std::string expected =
        least_rank == most_rank ? absl::StrCat(least_rank) : absl::StrCat(least_rank, " to ", most_rank);
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: expected %s dimensions, found %d; images have 3 (or 4, with channels) and labels 1, check "
                        "that the two files are not mixed up",
                        path, expected, magic[3]));
  }
  return absl::OkStatus();
}

absl::StatusOr<Shape> ReadShape(const std::string& path, ByteStream& stream, int least_rank, int most_rank) {
  constexpr int64_t kMagicBytes = 4;
  uint8_t magic[kMagicBytes];
  BITGRAD_ASSIGN_OR_RETURN(const int64_t magic_got, stream.Read(magic, kMagicBytes));
  if (magic_got < kMagicBytes) return Truncated(path, "header", kMagicBytes + 4 * least_rank, magic_got);
  BITGRAD_RETURN_IF_ERROR(CheckMagic(path, magic, least_rank, most_rank));

  const int rank = magic[3];
  std::vector<uint8_t> extents(4 * rank);
  BITGRAD_ASSIGN_OR_RETURN(const int64_t got, stream.Read(extents.data(), 4 * rank));
  if (got < 4 * rank) return Truncated(path, "header", kMagicBytes + 4 * rank, kMagicBytes + got);
  std::vector<int64_t> dims;
  for (int i = 0; i < rank; ++i) {
    const uint8_t* byte = &extents[4 * i];
    dims.push_back(int64_t{byte[0]} << 24 | byte[1] << 16 | byte[2] << 8 | byte[3]);
  }
  Shape shape(dims);
  if (std::count(dims.begin(), dims.end(), 0) > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the header says ", shape.ToString(), ": nothing in it; get the file again"));
  }
  if (const absl::Status size = shape.Validate(); !size.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the header is damaged: ", size.message(), "; get the file again"));
  }
  return shape;
}

}  // namespace

absl::StatusOr<Tensor> ReadIdx(const std::string& path, int least_rank, int most_rank) {
  BITGRAD_ASSIGN_OR_RETURN(ByteStream stream, ByteStream::Open(path));
  BITGRAD_ASSIGN_OR_RETURN(Shape shape, ReadShape(path, stream, least_rank, most_rank));

  const int64_t expected = shape.num_elements();
  std::vector<uint8_t> data;
  BITGRAD_RETURN_IF_ERROR(stream.ReadUpTo(expected, data));
  if (const int64_t found = data.size(); found < expected) {
    return Truncated(path, absl::StrCat("data for ", shape.ToString()), expected, found);
  }
  BITGRAD_ASSIGN_OR_RETURN(const bool trailing, stream.HasMore());
  if (trailing) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": there are bytes after the ", expected,
                                                   " bytes of data that the header ", shape.ToString(),
                                                   " announces; get the file again"));
  }
  return Tensor::Of<uint8_t>(std::move(shape), data);
}

}  // namespace bitgrad
