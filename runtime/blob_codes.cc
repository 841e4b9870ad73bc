#include "bitgrad/runtime/blob_codes.h"

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

Encoding EncodingOf(packed::Blob::Kind kind, int bits) {
  packed::Blob blob;
  blob.set_kind(kind);
  blob.set_bits(bits);
  return bitgrad::EncodingOf(blob);
}

}  // namespace

std::vector<int64_t> CodesOf(const PackedModel& model, int blob) {
  const packed::Blob& descriptor = model.blob(blob);
  const int planes = PlaneCount(descriptor);
  const bool is_flags = descriptor.kind() == packed::Blob::FLAGS;
  const Encoding encoding = is_flags ? Encoding{} : EncodingOf(descriptor);
  const ConstBitMatrixView first = model.plane(blob, 0);
  std::vector<int64_t> codes;
  codes.reserve(first.rows * first.cols);
  for (int64_t i = 0; i < first.rows; ++i) {
    for (int64_t j = 0; j < first.cols; ++j) {
      int64_t stored = 0;
      for (int plane = 0; plane < planes; ++plane) {
        stored |= static_cast<int64_t>(model.plane(blob, plane).bit(i, j)) << plane;
      }
      codes.push_back(is_flags ? stored : encoding.code(stored));
    }
  }
  return codes;
}

Encoding EncodingOf(const packed::Threshold& threshold) { return EncodingOf(threshold.encoding(), threshold.bits()); }

}  // namespace bitgrad
