// How the bytes of a blob are laid out: as planes of bits, or as numbers. docs/packed_model_format.md specifies it.

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

// OK if kind, bits, shape and byte_size are each valid and consistent with each other. The check allocates nothing, so
// that a damaged size does no harm.
absl::Status CheckBlobDescriptor(const packed::Blob& blob);

// OK if the bytes are as the descriptor says: their CRC-32 is the descriptor's, the padding behind every row of bits is
// zero, and every pattern of bits is a code of the kind. REQUIRES: CheckBlobDescriptor(blob).ok() and
// bytes.size() == blob.byte_size(); bytes aligned to kPackedAlignment.
absl::Status CheckBlobBytes(const packed::Blob& blob, absl::Span<const uint8_t> bytes);

// Whether the kind has a number of bits: SYMMETRIC, UNSIGNED, TWOS_COMPLEMENT, LOG, LOG_NONZERO.
bool HasBits(packed::Blob::Kind kind);
// OK if `bits` of the descriptor goes with its kind, which is valid.
absl::Status CheckBits(const packed::Blob& blob);

// ---- For descriptors that CheckBlobDescriptor() has accepted

inline Shape ShapeOf(const packed::Blob& blob) {
  return Shape(absl::MakeConstSpan(blob.shape().data(), static_cast<size_t>(blob.shape_size())));
}
// The kind of a blob of codes of this encoding; UNSPECIFIED where there is none.
packed::Blob::Kind KindOf(EncodingKind kind);
// Whether the blob holds codes, those of a weight: BINARY and so on.
bool IsCodes(packed::Blob::Kind kind);
// The number of bit planes; 0 for FLOAT32 and INT32.
int PlaneCount(const packed::Blob& blob);
// A view of one plane: [1, n] for FLAGS of n elements, [out, in] for codes. REQUIRES: the kind has planes.
ConstBitMatrixView PlaneOf(const packed::Blob& blob, const uint8_t* bytes, int plane);
// The encoding of a weight blob; kFloat for FLOAT32. REQUIRES: the kind is FLOAT32, or IsCodes(kind).
Encoding EncodingOf(const packed::Blob& blob);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_BLOB_LAYOUT_H_
