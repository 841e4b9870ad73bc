#include "bitgrad/runtime/linear_step.h"

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
    : kernel_(ChooseKernel(model, i).kernel),
      operand_(model.header().instructions(i).operands(0)),
      result_(i + 1),
      encoding_(model.value(operand_).encoding),
      in_(WeightShape(model, i).cols()),
      out_(WeightShape(model, i).rows()),
      weights_(model, LinearOf(model, i).weight(), /*as_floats=*/kernel_ == DotKernel::kFloatGemm, frame),
      output_(model, i, LinearOf(model, i), out_, frame) {}

void LinearStep::Run(Frame& frame) {
  if (kernel_ == DotKernel::kFloatGemm) {
    RunFloats(frame);
  } else {
    RunIntegers(frame);
  }
}

void LinearStep::RunIntegers(Frame& frame) {
  // The operand is made before the output is asked for, because a kernel of its own may have to run. Bits become bytes
  // where the weights cannot be multiplied as planes.
  if (encoding_.kind != EncodingKind::kBinary || kernel_ == DotKernel::kInt8) {
    const ConstMatrixView<uint8_t> codes = frame.codes(operand_);
    CodedProduct(frame.context(), {encoding_, codes}, weights_.planes(), output_.New(frame, out_));
    return;
  }
  const ConstBitMatrixView x = frame.bits(operand_, in_);
  const DotOutput out = output_.New(frame, out_);
  if (weights_.planes().encoding.kind != EncodingKind::kBinary) {
    frame.kernels().plane_gemm(frame.context(), BinaryPlanes(x), weights_.planes(), out);
  } else {
    frame.kernels().packed_gemm(frame.context(), x, weights_.planes().planes[0], out);
  }
}

// There is no threshold here: only integer sums have thresholds.
void LinearStep::RunFloats(Frame& frame) {
  const ConstMatrixView<float> x = frame.terms(operand_);
  const MatrixView<float> y = frame.NewFloats(result_);
  frame.kernels().gemm_f32(frame.context(), false, true, 1.0f, x, weights_.floats(), 0.0f, y);
  output_.Scale(frame, y);
}

}  // namespace bitgrad
