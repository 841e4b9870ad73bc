// What the bytes of a blob are: planes of bits, or numbers. Layout: docs/packed_model_format.md.

#ifndef BITGRAD_RUNTIME_BLOB_LAYOUT_H_
#define BITGRAD_RUNTIME_BLOB_LAYOUT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

// OK if kind, bits, shape and byte_size are each valid and fit each other. Nothing is allocated by
// size.
absl::Status CheckBlobDescriptor(const packed::Blob& blob);

// OK if the bytes are what the descriptor says: CRC-32, zero padding behind every row of bits, and
// no pattern of bits that stands for no code. REQUIRES: CheckBlobDescriptor(blob).ok() and
// bytes.size() == blob.byte_size(); bytes aligned to kPackedAlignment.
absl::Status CheckBlobBytes(const packed::Blob& blob, absl::Span<const uint8_t> bytes);

// ---- Of a checked descriptor
// -------------------------------------------------------------------------
inline Shape ShapeOf(const packed::Blob& blob) {
  return Shape(absl::MakeConstSpan(blob.shape().data(), static_cast<size_t>(blob.shape_size())));
}
// Whether the values are codes of a weight: BINARY, TERNARY, SYMMETRIC, UNSIGNED.
bool IsCodes(packed::Blob::Kind kind);
// Number of bit planes; 0 for FLOAT32 and INT32.
int PlaneCount(const packed::Blob& blob);
// One row of `size` bits for FLAGS, [out, in] for codes. REQUIRES: the kind has planes.
ConstBitMatrixView PlaneOf(const packed::Blob& blob, const uint8_t* bytes, int plane);
// kFloat for FLOAT32. REQUIRES: FLOAT32 or IsCodes(kind).
Encoding EncodingOf(const packed::Blob& blob);

// The integer code that the planes' bits c (plane 0: bit 0 of c) stand for, and back.
int64_t CodeOf(const Encoding& encoding, int64_t c);
int64_t PlaneBitsOf(const Encoding& encoding, int64_t code);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_BLOB_LAYOUT_H_
