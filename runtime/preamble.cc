#include "bitgrad/runtime/preamble.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

constexpr char kMagic[8] = {'B', 'I', 'T', 'G', 'R', 'A', 'D', '\0'};
// How the files of models/training/checkpoint.h begin, to tell users who mix up the two kinds.
constexpr char kCheckpointMagic[8] = {'B', 'I', 'T', 'G', 'C', 'K', 'P', 'T'};
constexpr int kVersionAt = 8;
constexpr int kHeaderBytesAt = 12;
constexpr int kFileBytesAt = 16;
constexpr int kHeaderCrcAt = 24;
constexpr int kReservedAt = 28;
constexpr int kPreambleCrcAt = 60;

// Little endian, `count` bytes.
void Put(uint64_t value, int count, std::string& bytes, int at) {
  for (int i = 0; i < count; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

uint64_t Get(absl::Span<const uint8_t> bytes, int at, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) value |= static_cast<uint64_t>(bytes[at + i]) << (8 * i);
  return value;
}

}  // namespace

uint32_t Crc32(absl::Span<const uint8_t> bytes) {
  return static_cast<uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

std::string EncodePreamble(const Preamble& preamble) {
  std::string bytes(kPreambleBytes, '\0');
  std::memcpy(bytes.data(), kMagic, sizeof kMagic);
  Put(preamble.version, 4, bytes, kVersionAt);
  Put(preamble.header_bytes, 4, bytes, kHeaderBytesAt);
  Put(preamble.file_bytes, 8, bytes, kFileBytesAt);
  Put(preamble.header_crc32, 4, bytes, kHeaderCrcAt);
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  Put(Crc32({data, kPreambleCrcAt}), 4, bytes, kPreambleCrcAt);
  return bytes;
}

absl::StatusOr<Preamble> DecodePreamble(absl::Span<const uint8_t> bytes) {
  if (bytes.empty()) return absl::DataLossError("the file is empty");
  if (bytes.size() >= sizeof kCheckpointMagic &&
      std::memcmp(bytes.data(), kCheckpointMagic, sizeof kCheckpointMagic) == 0) {
    return absl::FailedPreconditionError("this is a checkpoint of a training run, not a packed model");
  }
  const size_t known = std::min(bytes.size(), sizeof kMagic);
  if (std::memcmp(bytes.data(), kMagic, known) != 0) {
    return absl::InvalidArgumentError("the magic number is not that of a packed model");
  }
  if (bytes.size() < static_cast<size_t>(kPreambleBytes)) {
    return absl::DataLossError(
        absl::StrCat("the file is cut off: it has ", bytes.size(), " bytes, its preamble alone ", kPreambleBytes));
  }
  if (Get(bytes, kPreambleCrcAt, 4) != Crc32(bytes.first(kPreambleCrcAt))) {
    return absl::DataLossError("the preamble's CRC-32 does not match its bytes");
  }
  const uint64_t version = Get(bytes, kVersionAt, 4);
  if (version < 1 || version > kPackedFormatVersion) {
    return absl::UnimplementedError(absl::StrCat("format version ", version, " is unknown to this program, ",
                                                 "which reads versions 1 to ", kPackedFormatVersion));
  }
  for (int i = kReservedAt; i < kPreambleCrcAt; ++i) {
    if (bytes[i] != 0) return absl::InvalidArgumentError("the preamble's reserved bytes are not zero");
  }
  const Preamble preamble = {.version = static_cast<uint32_t>(version),
                             .header_bytes = static_cast<uint32_t>(Get(bytes, kHeaderBytesAt, 4)),
                             .file_bytes = Get(bytes, kFileBytesAt, 8),
                             .header_crc32 = static_cast<uint32_t>(Get(bytes, kHeaderCrcAt, 4))};
  if (preamble.file_bytes != bytes.size()) {
    return absl::DataLossError(absl::StrCat("the file is ", preamble.file_bytes > bytes.size() ? "cut off" : "too long",
                                            ": it has ", bytes.size(), " bytes, its preamble says ",
                                            preamble.file_bytes));
  }
  if (preamble.header_bytes > bytes.size() - kPreambleBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the preamble's header size, ", preamble.header_bytes, " bytes, is larger than the file"));
  }
  return preamble;
}

}  // namespace bitgrad
