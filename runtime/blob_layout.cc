#include "bitgrad/runtime/blob_layout.h"

#include <bit>
#include <limits>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/runtime/preamble.h"

namespace bitgrad {

// Blobs are used in place.
static_assert(std::endian::native == std::endian::little, "packed models are little endian");
static_assert(std::numeric_limits<float>::is_iec559 && sizeof(float) == 4);

using packed::Blob;

Blob::Kind KindOf(EncodingKind kind) {
  switch (kind) {
    case EncodingKind::kBinary: return Blob::BINARY;
    case EncodingKind::kTernary: return Blob::TERNARY;
    case EncodingKind::kSymmetric: return Blob::SYMMETRIC;
    case EncodingKind::kUnsigned: return Blob::UNSIGNED;
    case EncodingKind::kTwosComplement: return Blob::TWOS_COMPLEMENT;
    case EncodingKind::kLog: return Blob::LOG;
    case EncodingKind::kLogNonzero: return Blob::LOG_NONZERO;
    case EncodingKind::kFloat:
    case EncodingKind::kSigned:
    case EncodingKind::kPowerOfTwo: break;
  }
  return Blob::UNSPECIFIED;
}

bool IsCodes(Blob::Kind kind) { return kind == Blob::BINARY || kind == Blob::TERNARY || HasBits(kind); }

int PlaneCount(const Blob& blob) {
  switch (blob.kind()) {
    case Blob::FLAGS:
    case Blob::BINARY: return 1;
    case Blob::TERNARY: return 2;
    case Blob::SYMMETRIC:
    case Blob::UNSIGNED:
    case Blob::TWOS_COMPLEMENT:
    case Blob::LOG:
    case Blob::LOG_NONZERO: return blob.bits();
    default: return 0;
  }
}

Encoding EncodingOf(const Blob& blob) {
  switch (blob.kind()) {
    case Blob::BINARY: return {EncodingKind::kBinary, 1};
    case Blob::TERNARY: return {EncodingKind::kTernary, 2};
    case Blob::SYMMETRIC: return {EncodingKind::kSymmetric, blob.bits()};
    case Blob::UNSIGNED: return {EncodingKind::kUnsigned, blob.bits()};
    case Blob::TWOS_COMPLEMENT: return {EncodingKind::kTwosComplement, blob.bits()};
    case Blob::LOG: return {EncodingKind::kLog, blob.bits()};
    case Blob::LOG_NONZERO: return {EncodingKind::kLogNonzero, blob.bits()};
    default: return {EncodingKind::kFloat, 32};
  }
}

ConstBitMatrixView PlaneOf(const Blob& blob, const uint8_t* bytes, int plane) {
  const Shape shape = ShapeOf(blob);
  const int64_t rows = shape.rows();
  const int64_t cols = shape.cols();
  return {reinterpret_cast<const uint64_t*>(bytes + plane * BitMatrix::BytesFor(rows, cols)), rows, cols,
          BitMatrix::WordsPerRow(cols)};
}

bool HasBits(Blob::Kind kind) {
  switch (kind) {
    case Blob::SYMMETRIC:
    case Blob::UNSIGNED:
    case Blob::TWOS_COMPLEMENT:
    case Blob::LOG:
    case Blob::LOG_NONZERO: return true;
    default: return false;
  }
}

absl::Status CheckBits(const Blob& blob) {
  // Fewer logarithmic codes would be ternary or binary, and more no integers of 64 bits.
  const bool is_log = blob.kind() == Blob::LOG, is_nonzero = blob.kind() == Blob::LOG_NONZERO;
  const int least = is_log ? 3 : is_nonzero ? 2 : 1, most = is_log ? 7 : is_nonzero ? 6 : 8;
  if (HasBits(blob.kind()) ? blob.bits() >= least && blob.bits() <= most : blob.bits() == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("bits ", blob.bits(), " does not go with kind ", Blob::Kind_Name(blob.kind())));
}

absl::Status CheckBlobDescriptor(const Blob& blob) {
  // Multiplied by 8 (bits in a byte), 64 (a row of one bit takes 64 bytes) and 8 planes, still far
  // from overflow.
  constexpr int64_t kMaxExtent = int64_t{1} << 31;
  if (!Blob::Kind_IsValid(blob.kind()) || blob.kind() == Blob::UNSPECIFIED) {
    return absl::InvalidArgumentError(absl::StrCat("kind ", static_cast<int>(blob.kind()), " is unknown"));
  }
  BITGRAD_RETURN_IF_ERROR(CheckBits(blob));
  const int rank = blob.shape_size();
  const bool rank_fits = blob.kind() == Blob::FLOAT32 ? rank >= 1 && rank <= 4
                         : blob.kind() == Blob::FLAGS ? rank == 1
                                                      : rank == 2;
  if (!rank_fits) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank, " does not go with kind ", Blob::Kind_Name(blob.kind())));
  }
  const Shape shape = ShapeOf(blob);
  for (const int64_t extent : shape.dims()) {
    if (extent < 1 || extent >= kMaxExtent) {
      return absl::InvalidArgumentError(absl::StrCat("extent ", extent, " of its shape is not in [1, 2^31)"));
    }
  }
  BITGRAD_RETURN_IF_ERROR(shape.Validate());
  const int planes = PlaneCount(blob);
  const int64_t expected = planes > 0 ? planes * static_cast<int64_t>(BitMatrix::BytesFor(shape.rows(), shape.cols()))
                                      : shape.num_elements() * 4;
  if (blob.byte_size() != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("byte_size is ", blob.byte_size(), ", its shape ", shape.ToString(), " takes ", expected));
  }
  return absl::OkStatus();
}

absl::Status CheckBlobBytes(const Blob& blob, absl::Span<const uint8_t> bytes) {
  if (Crc32(bytes) != blob.crc32()) {
    return absl::DataLossError("its CRC-32 does not match its bytes");
  }
  for (int p = 0; p < PlaneCount(blob); ++p) {
    const ConstBitMatrixView plane = PlaneOf(blob, bytes.data(), p);
    const int64_t full = plane.cols / 64;
    const uint64_t used = (uint64_t{1} << (plane.cols % 64)) - 1;  // of word `full`
    for (int64_t i = 0; i < plane.rows; ++i) {
      const uint64_t* row = plane.row(i);
      uint64_t padding = full < plane.stride ? row[full] & ~used : 0;
      for (int64_t w = full + 1; w < plane.stride; ++w) padding |= row[w];
      if (padding != 0) {
        return absl::InvalidArgumentError(absl::StrCat("the padding bits of row ", i, " are not zero"));
      }
    }
  }
  if (blob.kind() == Blob::TERNARY || blob.kind() == Blob::LOG) {
    const ConstBitMatrixView first = PlaneOf(blob, bytes.data(), 0);
    for (int64_t w = 0; w < first.rows * first.stride; ++w) {
      uint64_t all_ones = first.words[w];
      for (int p = 1; p < PlaneCount(blob); ++p) all_ones &= PlaneOf(blob, bytes.data(), p).words[w];
      if (all_ones != 0) {
        return absl::InvalidArgumentError(absl::StrCat("row ", w / first.stride, " has a bit pattern that is no ",
                                                       Name(EncodingOf(blob).kind), " code"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
