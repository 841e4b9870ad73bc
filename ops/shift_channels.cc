#include "bitgrad/ops/shift_channels.h"

#include <algorithm>
#include <utility>

#include "bitgrad/ops/extent2d.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var ShiftChannels(const Var& x, absl::Span<const uint8_t> taps, int64_t kernel, int64_t stride) {
  OpRecorder op("shift_channels", {x});
  if (!op.ok()) return op.Failed();
  const Shape shape = x.shape();
  if (shape.rank() != 4 || shape.num_elements() == 0) {
    return op.Fail("input ", shape.ToString(), " has to be [batch, height, width, channels], not empty");
  }
  if (kernel < 1 || kernel > 255 || stride < 1 || stride > kMaxWindowExtent) {
    return op.Fail("kernel ", kernel, " has to be in 1 .. 255, and stride ", stride, " in 1 .. ", kMaxWindowExtent);
  }
  if (static_cast<int64_t>(taps.size()) != shape.dim(3)) {
    return op.Fail(taps.size(), " taps for ", shape.dim(3), " channels");
  }
  for (const uint8_t tap : taps) {
    if (tap >= kernel * kernel) return op.Fail("tap ", int{tap}, " of a window that has ", kernel * kernel);
  }
  const ShiftGeometry g = {.batch = shape.dim(0),
                           .height = shape.dim(1),
                           .width = shape.dim(2),
                           .channels = shape.dim(3),
                           .kernel = kernel,
                           .stride = stride};
  if (std::min(g.height, g.width) + 2 * g.pad() < kernel) {
    return op.Fail("input ", shape.ToString(), " is smaller than the window of ", kernel);
  }
  Tensor of_channels = op.NewTensor({g.channels}, DType::kUint8);
  op.kernels().write_bytes(op.context(), taps, of_channels.mutable_data<uint8_t>());
  Tensor y = op.NewTensor({g.batch, g.out_height(), g.out_width(), g.channels});
  op.kernels().shift_channels_forward(op.context(), g, of_channels.data<uint8_t>(), op.value(0).data<float>(),
                                      y.mutable_data<float>());
  return op.Record(std::move(y), {}, [g, taps = std::move(of_channels)](Tape::GradientSink& sink) {
    Tensor dx = NewTensor(sink, {g.batch, g.height, g.width, g.channels});
    KernelsOf(sink).shift_channels_backward(sink.context(), g, taps.data<uint8_t>(),
                                            sink.output_gradient().data<float>(), dx.mutable_data<float>());
    sink.Add(0, std::move(dx));
  });
}

std::vector<uint8_t> EvenTaps(int64_t channels, int64_t kernel) {
  std::vector<uint8_t> taps(static_cast<size_t>(std::max<int64_t>(0, channels)));
  for (int64_t c = 0; c < channels; ++c) taps[c] = static_cast<uint8_t>(c * kernel * kernel / channels);
  return taps;
}

}  // namespace bitgrad
