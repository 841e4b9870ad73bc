#include "bitgrad/runtime/linear_step.h"

#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/coded_product.h"
#include "bitgrad/ops/dot_kernel.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/kernel_choice.h"

namespace bitgrad {
namespace {

const packed::Linear& LinearOf(const PackedModel& model, int i) { return model.header().instructions(i).linear(); }
Shape WeightShape(const PackedModel& model, int i) { return ShapeOf(model.blob(LinearOf(model, i).weight())); }

}  // namespace

LinearStep::LinearStep(const PackedModel& model, int i, Frame& frame)
    : in_integers_(ChooseKernel(model, i).kernel != DotKernel::kFloatGemm),
      result_(i + 1),
      scale_(LinearOf(model, i).scale()),
      input_(model, i, WeightShape(model, i).cols(), frame),
      weights_(model, LinearOf(model, i).weight(), /*as_floats=*/!in_integers_, frame),
      threshold_(model, LinearOf(model, i).has_threshold(), LinearOf(model, i).threshold(),
                 WeightShape(model, i).rows(), frame) {}

void LinearStep::Run(Frame& frame) {
  if (in_integers_) {
    RunIntegers(frame);
  } else {
    RunFloats(frame);
  }
}

DotOutput LinearStep::Output(Frame& frame) const {
  if (threshold_.present()) return threshold_.Output(frame.NewBits(result_));
  return {.floats = frame.NewFloats(result_), .scale = scale_};
}

void LinearStep::RunIntegers(Frame& frame) {
  const Kernels& kernels = frame.kernels();
  const Encoding encoding = input_.quantizer().encoding();
  if (encoding.kind != EncodingKind::kBinary) {
    const ConstMatrixView<uint8_t> codes = input_.Codes(frame);
    CodedProduct(frame.context(), {encoding, codes}, weights_.planes(), Output(frame));
    return;
  }
  const ConstBitMatrixView x = input_.Bits(frame);
  const DotOutput out = Output(frame);
  if (weights_.planes().encoding.kind != EncodingKind::kBinary) {
    kernels.plane_gemm(frame.context(), BinaryPlanes(x), weights_.planes(), out);
  } else {
    kernels.packed_gemm(frame.context(), x, weights_.planes().planes[0], out);
  }
}

// There is no threshold here: only integer sums have thresholds.
void LinearStep::RunFloats(Frame& frame) {
  const ConstMatrixView<float> x = input_.Terms(frame);
  const MatrixView<float> y = frame.NewFloats(result_);
  frame.kernels().gemm_f32(frame.context(), false, true, 1.0f, x, weights_.floats(), 0.0f, y);
  if (scale_ != 1.0f) frame.kernels().scale_f32(frame.context(), scale_, y.data, false, y.data, y.size());
}

}  // namespace bitgrad
