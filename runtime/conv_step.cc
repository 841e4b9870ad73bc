#include "bitgrad/runtime/conv_step.h"

namespace bitgrad {
namespace {

const packed::Conv2d& ConvOf(const PackedModel& model, int i) { return model.header().instructions(i).conv2d(); }

}  // namespace

ConvStep::ConvStep(const PackedModel& model, int i, Frame& frame)
    : choice_(ChooseConvKernel(model, i)),
      geometry_(choice_.geometry),
      operand_(model.header().instructions(i).operands(0)),
      result_(i + 1),
      x_(model.value(operand_)),
      weights_(model, ConvOf(model, i).weight(), /*as_floats=*/choice_.kernel == ConvKernel::kFloat, frame),
      output_(model, i, ConvOf(model, i), geometry_.filters, frame) {
  if (x_.is_coded()) BorderCode(x_.encoding, x_.scale, geometry_.padding, &border_code_);
}

void ConvStep::Run(Frame& frame) {
  geometry_.batch = frame.batch();
  // The operand is made before the output is asked for, because a kernel of its own may have to run.
  const int64_t bit_cols = geometry_.out_height() * geometry_.out_width() * geometry_.filters;
  switch (choice_.kernel) {
    case ConvKernel::kXnorPopcount: {
      const ConstBitMatrixView x = frame.bits(operand_, x_.features());
      frame.kernels().packed_conv2d(frame.context(), geometry_, x, weights_.planes().planes[0],
                                    output_.New(frame, bit_cols));
      return;
    }
    case ConvKernel::kCodes: {
      const ConstMatrixView<uint8_t> codes(frame.codes(operand_).data, geometry_.batch, x_.features());
      frame.kernels().coded_conv2d(frame.context(), geometry_, {x_.encoding, codes}, weights_.planes(), border_code_,
                                   output_.New(frame, bit_cols));
      return;
    }
    case ConvKernel::kFloat: return RunFloats(frame);
  }
}

// There is no threshold here: only integer sums have thresholds.
void ConvStep::RunFloats(Frame& frame) {
  const ConstMatrixView<float> x = frame.terms(operand_);
  const float border = x_.is_coded()                            ? static_cast<float>(border_code_)
                       : geometry_.padding == Padding::kPlusOne ? 1.0f
                                                                : -1.0f;
  const MatrixView<float> y = frame.NewFloats(result_);
  FloatConvolution(frame.context(), geometry_, border, x.data, weights_.floats().data, y.data);
  output_.Scale(frame, y);
}

}  // namespace bitgrad
