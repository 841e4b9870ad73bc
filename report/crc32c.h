// CRC-32C, the checksum of TensorBoard's event files.

#ifndef BITGRAD_REPORT_CRC32C_H_
#define BITGRAD_REPORT_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace bitgrad {

// The cyclic redundancy check with Castagnoli's polynomial 0x1EDC6F41, bits reflected, begun and ended with a
// complement (RFC 3720, B.4).
uint32_t Crc32c(absl::string_view bytes);

// Crc32c() rotated right by 15 bits, plus a constant: files hold this, because the CRC of bytes that end with their own
// CRC says nothing of them.
uint32_t MaskedCrc32c(absl::string_view bytes);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_CRC32C_H_
