#include "bitgrad/runtime/conv_step.h"

namespace bitgrad {
namespace {

const packed::Conv2d& ConvOf(const PackedModel& model, int i) { return model.header().instructions(i).conv2d(); }

}  // namespace

ConvStep::ConvStep(const PackedModel& model, int i, Frame& frame)
    : choice_(ChooseConvKernel(model, i)),
      geometry_(choice_.geometry),
      result_(i + 1),
      scale_(ConvOf(model, i).scale()),
      input_(model, i, geometry_.height * geometry_.width * geometry_.channels, frame),
      weights_(model, ConvOf(model, i).weight(), /*as_floats=*/choice_.kernel == ConvKernel::kFloat, frame),
      threshold_(model, ConvOf(model, i).has_threshold(), ConvOf(model, i).threshold(), geometry_.filters, frame) {
  const Quantizer& quantizer = input_.quantizer();
  if (quantizer.encoding().is_integer()) {
    BorderCode(quantizer.encoding(), quantizer.scale(0), geometry_.padding, &border_code_);
  }
}

void ConvStep::Run(Frame& frame) {
  geometry_.batch = frame.batch();
  if (choice_.kernel == ConvKernel::kFloat) return RunFloats(frame);
  const bool binary = choice_.kernel == ConvKernel::kXnorPopcount;
  // The input is made before the output is asked for, because a kernel of its own may have to run.
  const ConstBitMatrixView bits = binary ? input_.Bits(frame) : ConstBitMatrixView{};
  const ConstMatrixView<uint8_t> codes = binary ? ConstMatrixView<uint8_t>{} : input_.Codes(frame);
  DotOutput out;
  if (threshold_.present()) {
    out = threshold_.Output(frame.NewBits(result_));
  } else {
    out = {.floats = frame.NewFloats(result_), .scale = scale_};
  }
  if (binary) {
    frame.kernels().packed_conv2d(frame.context(), geometry_, bits, weights_.planes().planes[0], out);
  } else {
    frame.kernels().coded_conv2d(frame.context(), geometry_, {input_.quantizer().encoding(), codes}, weights_.planes(),
                                 border_code_, out);
  }
}

// There is no threshold here: only integer sums have thresholds.
void ConvStep::RunFloats(Frame& frame) {
  const ConstMatrixView<float> x = input_.Terms(frame);
  const float border = input_.quantizer().encoding().is_integer() ? static_cast<float>(border_code_)
                       : geometry_.padding == Padding::kPlusOne   ? 1.0f
                                                                  : -1.0f;
  const MatrixView<float> y = frame.NewFloats(result_);
  FloatConvolution(frame.context(), geometry_, border, x.data, weights_.floats().data, y.data);
  if (scale_ != 1.0f) frame.kernels().scale_f32(frame.context(), scale_, y.data, false, y.data, y.size());
}

}  // namespace bitgrad
