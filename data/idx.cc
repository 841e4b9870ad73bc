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

absl::Status CheckMagic(const std::string& path, const uint8_t* magic, int rank) {
  if (magic[0] != 0 || magic[1] != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: not an idx file: expected the first bytes 00 00 08 %02x, found %02x %02x %02x %02x; "
                        "check that the file is what its name says",
                        path, rank, magic[0], magic[1], magic[2], magic[3]));
  }
  if (magic[2] != kUint8Code) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: expected element type 0x08 (uint8), found 0x%02x; only idx files of "
                        "bytes can be read",
                        path, magic[2]));
  }
  if (magic[3] != rank) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: expected %d dimensions, found %d; images have 3 and labels 1, check "
                        "that the two files "
                        "are not mixed up",
                        path, rank, magic[3]));
  }
  return absl::OkStatus();
}

absl::StatusOr<Shape> ReadShape(const std::string& path, ByteStream& stream, int rank) {
  const int64_t header_bytes = 4 + 4 * rank;
  std::vector<uint8_t> header(header_bytes);
  BITGRAD_ASSIGN_OR_RETURN(const int64_t got, stream.Read(header.data(), header_bytes));
  // What is there of the magic number is looked at first: a file of another kind is no truncated
  // idx.
  if (got >= 4) BITGRAD_RETURN_IF_ERROR(CheckMagic(path, header.data(), rank));
  if (got < header_bytes) return Truncated(path, "header", header_bytes, got);

  std::vector<int64_t> dims;
  for (int i = 0; i < rank; ++i) {
    const uint8_t* byte = &header[4 + 4 * i];
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

absl::StatusOr<Tensor> ReadIdx(const std::string& path, int rank) {
  BITGRAD_ASSIGN_OR_RETURN(ByteStream stream, ByteStream::Open(path));
  BITGRAD_ASSIGN_OR_RETURN(Shape shape, ReadShape(path, stream, rank));

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
