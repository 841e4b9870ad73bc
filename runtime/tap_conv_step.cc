#include "bitgrad/runtime/tap_conv_step.h"

#include <vector>

#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/runtime/image_geometry.h"

namespace bitgrad {
namespace {

const packed::TapConv2d& ConvOf(const PackedModel& model, int i) { return model.header().instructions(i).tap_conv2d(); }

// The program has been checked, so its geometry is valid.
ConvGeometry GeometryOf(const PackedModel& model, int i) {
  return *GeometryOf(ConvOf(model, i), model.value(model.header().instructions(i).operands(0)).example);
}

// Element j of a blob of codes of one row.
int64_t StoredCode(const PackedModel& model, int blob, int64_t j) {
  int64_t c = 0;
  for (int p = 0; p < PlaneCount(model.blob(blob)); ++p) c |= int64_t{model.plane(blob, p).bit(0, j)} << p;
  return c;
}

std::vector<float> Weights(const PackedModel& model, int blob) {
  const packed::Blob& descriptor = model.blob(blob);
  if (descriptor.kind() == packed::Blob::FLOAT32) {
    const absl::Span<const float> floats = model.floats(blob);
    return {floats.begin(), floats.end()};
  }
  const Encoding encoding = EncodingOf(descriptor);
  std::vector<float> weights(static_cast<size_t>(ShapeOf(descriptor).num_elements()));
  for (size_t j = 0; j < weights.size(); ++j) {
    weights[j] = static_cast<float>(encoding.code(StoredCode(model, blob, static_cast<int64_t>(j))));
  }
  return weights;
}

}  // namespace

TapConvStep::TapConvStep(const PackedModel& model, int i, Frame& frame)
    : geometry_(GeometryOf(model, i)),
      operand_(model.header().instructions(i).operands(0)),
      result_(i + 1),
      output_(model, i, ConvOf(model, i), geometry_.filters, frame) {
  const packed::TapConv2d& conv = ConvOf(model, i);
  const std::vector<float> weights = Weights(model, conv.weight());
  std::vector<uint8_t> taps(weights.size());
  for (size_t j = 0; j < taps.size(); ++j) {
    taps[j] = static_cast<uint8_t>(StoredCode(model, conv.taps(), static_cast<int64_t>(j)));
  }
  if (frame.context().device() == Device::kCpu) {
    convolution_.emplace(geometry_, weights.data(), taps.data());
    return;
  }
  const int64_t count = geometry_.kernel_height * geometry_.kernel_width, channels = geometry_.channels;
  Tensor kernels = Tensor::Zeros({geometry_.filters, count * channels});
  for (int64_t o = 0; o < geometry_.filters; ++o) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t tap = taps[o * channels + c];
      if (tap < count) kernels.mutable_matrix<float>().at(o, tap * channels + c) = weights[o * channels + c];
    }
  }
  kernels_ = ToDevice(frame.context(), kernels);
}

void TapConvStep::Run(Frame& frame) {
  geometry_.batch = frame.batch();
  const ConstMatrixView<float> x = frame.terms(operand_);
  const MatrixView<float> y = frame.NewFloats(result_);
  if (convolution_.has_value()) {
    convolution_->Run(frame.context(), geometry_.batch, x.data, y.data);
  } else {
    FloatConvolution(frame.context(), geometry_, /*border=*/0.0f, x.data, kernels_.data<float>(), y.data);
  }
  output_.Scale(frame, y);
}

}  // namespace bitgrad
