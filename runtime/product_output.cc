#include "bitgrad/runtime/product_output.h"

#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/packed_weights.h"

namespace bitgrad {

ProductOutput::ProductOutput(const PackedModel& model, int i, float scale, int scales,
                             const packed::Threshold* threshold, int64_t out, Frame& frame)
    : result_(i + 1), encoding_(model.value(i + 1).encoding), scale_(scale) {
  if (scales >= 0) scale_ = ScaleView(scale, frame.blobs().floats(scales), 1);
  if (threshold == nullptr) return;
  thresholds_ = frame.blobs().ints(threshold->thresholds());
  flips_ = Flags(model, threshold->flips(), out, frame.context());
}

DotOutput ProductOutput::New(Frame& frame, int64_t bit_cols) const {
  DotOutput out;
  if (thresholds_ == nullptr) {
    out.floats = frame.NewFloats(result_);
    out.scale = scale_;
    return out;
  }
  out.threshold = thresholds_;
  out.flip = flips_.data<uint8_t>();
  if (encoding_.kind == EncodingKind::kBinary) {
    out.bits = frame.NewBits(result_, bit_cols);
  } else {
    out.codes = frame.NewCodes(result_);
    out.levels = static_cast<int>(encoding_.largest_stored());
  }
  return out;
}

void ProductOutput::Scale(Frame& frame, MatrixView<float> y) const {
  if (!scale_.is_constant()) {
    frame.kernels().scale_columns(frame.context(), scale_, y, y);
  } else if (scale_.factor != 1.0f) {
    frame.kernels().scale_f32(frame.context(), scale_.factor, y.data, false, y.data, y.size());
  }
}

}  // namespace bitgrad
