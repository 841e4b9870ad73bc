#include "bitgrad/runtime/packed_weights.h"

#include "bitgrad/core/transfer.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

// The codes of a weight blob as floats, [out, in].
Tensor ExpandCodes(const PackedModel& model, int blob) {
  const packed::Blob& descriptor = model.blob(blob);
  const Encoding encoding = EncodingOf(descriptor);
  const int planes = PlaneCount(descriptor);
  Tensor weights(ShapeOf(descriptor), DType::kFloat32);
  const MatrixView<float> w = weights.mutable_matrix<float>();
  for (int64_t i = 0; i < w.rows; ++i) {
    for (int64_t j = 0; j < w.cols; ++j) {
      int64_t c = 0;
      for (int p = 0; p < planes; ++p) c |= int64_t{model.plane(blob, p).bit(i, j)} << p;
      w.at(i, j) = static_cast<float>(encoding.code(c));
    }
  }
  return weights;
}

}  // namespace

PackedWeights::PackedWeights(const PackedModel& model, int blob, bool as_floats, Frame& frame) {
  const packed::Blob& weight = model.blob(blob);
  if (!as_floats) {
    planes_.encoding = EncodingOf(weight);
    for (int p = 0; p < PlaneCount(weight); ++p) planes_.planes[p] = frame.blobs().plane(blob, p);
  } else if (weight.kind() == packed::Blob::FLOAT32) {
    const Shape shape = ShapeOf(weight);
    floats_ = {frame.blobs().floats(blob), shape.rows(), shape.cols()};
  } else {
    expanded_ = ToDevice(frame.context(), ExpandCodes(model, blob));
    floats_ = expanded_.matrix<float>();
  }
}

Tensor Flags(const PackedModel& model, int blob, int64_t count, ExecContext& context) {
  const ConstBitMatrixView row = model.plane(blob, 0);
  Tensor flags({count}, DType::kUint8);
  for (int64_t j = 0; j < count; ++j) flags.mutable_data<uint8_t>()[j] = row.bit(0, j) ? 1 : 0;
  return ToDevice(context, flags);
}

}  // namespace bitgrad
