// The first 64 bytes of a packed model file. Layout: docs/packed_model_format.md.

#ifndef BITGRAD_RUNTIME_PREAMBLE_H_
#define BITGRAD_RUNTIME_PREAMBLE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace bitgrad {

// The version that is written. Version 1 is read, too.
inline constexpr uint32_t kPackedFormatVersion = 2;
inline constexpr int64_t kPreambleBytes = 64;
// Each blob begins, and the file ends, at a multiple of this: the size of a cache line, of which a row of a BitMatrix
// takes a whole number.
inline constexpr int64_t kPackedAlignment = 64;

constexpr int64_t AlignUp(int64_t bytes) {
  return (bytes + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment;
}

struct Preamble {
  uint32_t version = kPackedFormatVersion;
  uint32_t header_bytes = 0;
  uint64_t file_bytes = 0;
  uint32_t header_crc32 = 0;
};

// The kPreambleBytes bytes of a preamble.
std::string EncodePreamble(const Preamble& preamble);

// Reads and checks the preamble. `bytes` are those of the whole file. Errors do not name the file. A checkpoint, which
// users mistake for a packed model, is FailedPrecondition.
absl::StatusOr<Preamble> DecodePreamble(absl::Span<const uint8_t> bytes);

// zlib's CRC-32 (reflected polynomial 0xEDB88320): finds every error of a single bit.
uint32_t Crc32(absl::Span<const uint8_t> bytes);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PREAMBLE_H_
